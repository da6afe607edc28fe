"""What a proof does on the hosts of a lab, and what it keeps of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from lab import Lab

from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.store import Event, Store

PROJECT = "/root/thaw"
"""the checkout on the client"""
CLUSTER = "deploy/lab.yaml"
BRING_UP = f"RAY_UP_enable_autoscaler_v2=0 ray up -y --no-config-cache {CLUSTER}"


class Proof:
    """A lab, and what has happened in it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._began = time.monotonic()
        self.happened: list[tuple[float, str]] = []
        """seconds since the beginning, and what"""

    def say(self, text: str) -> None:
        self.happened.append((time.monotonic() - self._began, text))
        print(f"{self.happened[-1][0]:6.1f} s  {text}", flush=True)

    def client(self, command: str, *, check: bool = True, timeout_seconds: float = 300) -> str:
        """What a command prints that a user types on the client, in the project's folder."""
        line = f". ~/.bashrc && cd {PROJECT} && {command}"
        done = self.lab.run("client", "bash", "-c", line, check=check, timeout_seconds=timeout_seconds)
        return done.stdout

    def wait(self, what: str, done: Callable[[], Any], seconds: float = 180, every: float = 0.5) -> Any:
        """What `done` returns once it is something. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not (found := done()):
            if time.monotonic() > until:
                raise TimeoutError(what)
            time.sleep(every)
        self.say(what)
        return found

    def nodes(self) -> list[str]:
        """The names of the hosts that Ray takes to be alive."""
        asked = "import json, ray; ray.init('auto', logging_level='ERROR', log_to_driver=False); "
        asked += "print('NODES', json.dumps([n['NodeManagerHostname'] for n in ray.nodes() if n['Alive']]))"
        told = self.lab.run("head", "python", "-c", asked, check=False).stdout
        found = re.search(r"NODES (.*)", told)
        return sorted(json.loads(found[1])) if found else []

    def store(self, search: str) -> Store:
        """Of a search in the shared folder, which need not be there yet."""
        return Store(self.lab.shared / "thaw" / "results" / search)

    def events(self, search: str, kind: str) -> list[Event]:
        store = self.store(search)
        return [event for event in store.events() if event["kind"] == kind] if store.events_jsonl.exists() else []

    def record(self, search: str) -> SearchRecord:
        return replay(self.store(search).events())
