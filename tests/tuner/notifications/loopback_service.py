"""A service that takes messages, on this machine's loopback."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "open-sesame"


class Service:
    """Takes what is posted to `url(...)`; refuses at /refuse, and at /hang answers only when the test is over."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.over = threading.Event()
        service = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.startswith("/hang"):
                    service.over.wait()
                elif not self.path.startswith("/refuse"):
                    service.taken.append(told)
                self.send_response(500 if self.path.startswith("/refuse") else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing to tell."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)

    def url(self, path: str = "") -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.server.server_port}/{path}"
