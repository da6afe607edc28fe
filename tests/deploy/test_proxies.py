"""nginx and Caddy before a real server, by the files in `deploy/service/`: `pytest -m long tests/deploy`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from small_clusters import ROOT
from small_servers import SmallServer

from tuner.service.access.accounts import create_token
from tuner.service.database.connection import open_database
from tuner.service.page.sessions import COOKIE

pytestmark = pytest.mark.long
ARCHIVE_BYTES = 100_000_000
COMMENTS = 4
"""one each 15 s: a minute in which nothing happens"""
NGINX = """daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}}
http {{ access_log off; {temporary} include {folder}/thaw.conf; }}
"""
CADDY = "{{\n\tadmin off\n\tskip_install_trust\n\thttp_port {http}\n\thttps_port {https}\n}}\n"


@dataclass(frozen=True)
class Proxied:
    """A server, and what brings HTTPS to it."""

    server: SmallServer
    url: str
    plain_url: str
    """of the same proxy, without TLS"""
    token: str

    def client(self) -> httpx.Client:
        """Somebody with the token, who believes any certificate."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, verify=False, timeout=60, trust_env=False)


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def nginx(folder: Path, server: int, http: int, https: int) -> tuple[list[str], dict[str, str]]:
    """What starts it, and with which environment."""
    pem, key = folder / "own.pem", folder / "own.key"
    names = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    made = ["openssl", "req", "-x509", *names, "-keyout", key, "-out", pem]
    subprocess.run(made, check=True, capture_output=True)
    text = (ROOT / "deploy" / "service" / "nginx.conf").read_text()
    for given, own in (
        ("listen 443", f"listen 127.0.0.1:{https}"),
        ("listen 80", f"listen 127.0.0.1:{http}"),
        ("127.0.0.1:8420", f"127.0.0.1:{server}"),
        ("/etc/ssl/CHANGE-ME.pem", str(pem)),
        ("/etc/ssl/CHANGE-ME.key", str(key)),
        ("CHANGE-ME", "localhost"),
    ):
        assert given in text
        text = text.replace(given, own)
    (folder / "thaw.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, temporary=temporary))
    return ["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")], {}


def caddy(folder: Path, server: int, http: int, https: int) -> tuple[list[str], dict[str, str]]:
    """Likewise. For localhost it makes a certificate itself."""
    text = (ROOT / "deploy" / "service" / "Caddyfile").read_text()
    text = text.replace("CHANGE-ME", "localhost").replace("127.0.0.1:8420", f"127.0.0.1:{server}")
    (folder / "Caddyfile").write_text(CADDY.format(http=http, https=https) + text)
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    return command, {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


@pytest.fixture(scope="module")
def server() -> Iterator[SmallServer]:
    with tempfile.TemporaryDirectory(prefix="prx", dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = SmallServer(Path(folder))
        server.start()
        server.register_data()
        try:
            yield server
        finally:
            server.end()


@pytest.fixture(scope="module")
def token(server: SmallServer) -> str:
    database = open_database(f"sqlite:///{server.state}/service.db")
    with database.session() as session:
        _, text = create_token(session, "ada", "admin", datetime.now(UTC))
    database.close()
    server.headers = {"Authorization": f"Bearer {text}"}
    return text


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, server: SmallServer, token: str) -> Iterator[Proxied]:
    name = request.param.__name__
    if shutil.which(name) is None or shutil.which("openssl") is None:
        pytest.skip(f"needs {name} and openssl")
    http, https = free_ports(2)
    with tempfile.TemporaryDirectory(prefix=name) as made:
        folder = Path(made)
        folder.chmod(0o755)  # nginx's workers are another user's
        command, environment = request.param(folder, int(server.url.rpartition(":")[2]), http, https)
        with (folder / "out").open("w") as log:
            process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            found = Proxied(server, f"https://localhost:{https}", f"http://localhost:{http}", token)
            wait_until_ready(found, process, folder)
            yield found
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # Caddy waits for streams that have not ended
                process.kill()
                process.wait()


def wait_until_ready(proxied: Proxied, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None, (folder / "out").read_text()
        try:
            if httpx.get(f"{proxied.url}/readyz", verify=False, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < until, (folder / "out").read_text()
        time.sleep(0.1)


def test_a_login_through_https_is_kept_to_https(proxied: Proxied) -> None:
    with httpx.Client(base_url=proxied.url, verify=False, trust_env=False) as browser:
        own = {"Origin": proxied.url, "Sec-Fetch-Site": "same-origin"}
        answer = browser.post("/login", data={"token": proxied.token}, headers=own)
        assert answer.status_code == 303, answer.text
        told = answer.headers["Set-Cookie"]
        assert told.startswith(f"{COOKIE}=")
        assert "Secure" in told
        assert browser.get("/").status_code == 200
        assert browser.get("/static/service.css").status_code == 200
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert browser.post("/logout", headers=foreign).status_code == 403


def test_plain_http_leads_to_https(proxied: Proxied) -> None:
    answer = httpx.get(f"{proxied.plain_url}/searches", trust_env=False)
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"].startswith("https://localhost")


def test_who_guesses_holds_up_nobody_elsewhere(proxied: Proxied) -> None:
    """The server counts by the address that the proxy tells of, not by the proxy's."""
    forged = {"Authorization": "Bearer wrong", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http"}
    with httpx.Client(base_url=proxied.url, verify=False, trust_env=False) as guessing:
        answers = [guessing.get("/v1/me", headers=forged).status_code for _ in range(40)]
    assert set(answers) <= {401, 429}
    assert 429 in answers  # whatever address it claims to come from
    with proxied.client() as client:
        assert client.get("/v1/me").status_code == 200


def test_an_archive_of_100_mb_is_taken(proxied: Proxied, tmp_path: Path) -> None:
    archive, name = tmp_path / "data.zip", f"large-{proxied.url.rpartition(':')[2]}"
    noise = np.random.default_rng(0)
    with zipfile.ZipFile(archive, "w") as packed:
        number = 0
        while archive.stat().st_size < ARCHIVE_BYTES:
            picture = tmp_path / "noise.png"
            Image.fromarray(noise.integers(0, 256, (1500, 1500, 3), np.uint8)).save(picture, compress_level=0)
            packed.write(picture, f"{'ab'[number % 2]}/{number:02}.png")
            number += 1
    with proxied.client() as client:
        assert client.post("/v1/data", json={"name": name}).status_code == 201
        with archive.open("rb") as body:
            answer = client.post(f"/v1/data/{name}/archive", content=body)
        assert answer.status_code < 300, answer.text
        until = time.monotonic() + 120
        while (found := client.get(f"/v1/data/{name}").json())["state"] == "inspecting" and time.monotonic() < until:
            time.sleep(0.2)
    assert found["state"] == "ready", found


def test_events_come_as_they_happen_and_a_silent_stream_stays(proxied: Proxied) -> None:
    server, name = proxied.server, f"told-{proxied.url.rpartition(':')[2]}"
    server.submit(name, trials=2)
    with proxied.client() as client, client.stream("GET", f"/v1/searches/{name}/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line == "event: epoch")
        assert server.search(name)["state"] == "running"  # a proxy that collects would tell it at the end
        next(line for line in lines if line == "event: search_ended")
    server.wait_until_done(name)
    with proxied.client() as client, client.stream("GET", f"/v1/searches/{name}/events?after=100000") as stream:
        comments = (line for line in stream.iter_lines() if line.startswith(":"))
        assert len(list(islice(comments, COMMENTS))) == COMMENTS
