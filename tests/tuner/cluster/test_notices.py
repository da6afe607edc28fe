"""A cloud's notice drains this machine's node, once, whatever its metadata service does meanwhile."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tuner.cluster.metadata import Aws, Gcp
from tuner.cluster.notices import await_notice, drain, main

NODE = "ab" * 28
Answer = tuple[int, str]


@dataclass
class Service:
    """A metadata service on loopback."""

    url: str = ""
    answers: dict[tuple[str, str], Callable[[dict[str, str]], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            key = (self.command, self.path)
            found.asked.append(key)
            code, text = found.answers[key](dict(self.headers)) if key in found.answers else (404, "")
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT = _answer  # noqa: N815  (the library's names)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", found.url)
    monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


TOKEN = ("PUT", "/latest/api/token")
ACTION = ("GET", "/latest/meta-data/spot/instance-action")


def play_aws(service: Service, notice: Callable[[], Answer], tokens: tuple[str, ...] = ("t1",)) -> None:
    """Version 2 of AWS's service, whose tokens may expire."""
    given = iter(tokens)
    valid: list[str] = []

    def token(headers: dict[str, str]) -> Answer:
        assert "X-Aws-Ec2-Metadata-Token-Ttl-Seconds" in {name.title() for name in headers}
        valid.append(next(given))
        return 200, valid[-1]

    def action(headers: dict[str, str]) -> Answer:
        shown = {name.title(): value for name, value in headers.items()}.get("X-Aws-Ec2-Metadata-Token")
        return notice() if shown == tokens[-1] else (401, "Unauthorized")

    service.answers |= {TOKEN: token, ACTION: action}


def in_two_minutes() -> Answer:
    end = datetime.now(UTC) + timedelta(seconds=119)
    return 200, f'{{"action": "terminate", "time": "{end:%Y-%m-%dT%H:%M:%SZ}"}}'


@pytest.fixture
def stub_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `ray` that writes down how it was called, and fails as often as `failures` has lines."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ray").write_text(
        f'#!/bin/sh\ncd {folder}\necho "$*" >> calls\n'
        'if [ -s failures ]; then sed -i 1d failures; echo "no answer from the head" >&2; exit 1; fi\n'
    )
    (folder / "ray").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@contextmanager
def raylet() -> Iterator[None]:
    """A process that looks as Ray's does, and waits for its input to end."""
    arguments = ["/ray/core/raylet", "-c", "read _", f"--node_id={NODE}", "--gcs-address=head:6379"]
    process = subprocess.Popen(arguments, executable="/bin/sh", stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.communicate()


def calls(folder: Path) -> list[str]:
    """Of `ray`, about our node: others may run on this machine."""
    return [line for line in (folder / "calls").read_text().splitlines() if NODE in line]


def test_no_notice_is_none(service: Service) -> None:
    play_aws(service, lambda: (404, ""))
    cloud = Aws()
    assert cloud.end() is None
    assert cloud.end() is None
    assert service.asked.count(TOKEN) == 1


def test_an_expired_token_is_replaced(service: Service) -> None:
    play_aws(service, in_two_minutes, tokens=("old", "new"))
    end = await_notice(Aws(), sleep=lambda _: None)
    assert timedelta(seconds=100) < end - datetime.now(UTC) <= timedelta(seconds=119)


def test_hiccups_of_the_service_are_sat_out(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([(500, ""), (200, "half a not"), (200, '{"action": "stop"}'), (404, ""), in_two_minutes()])
    play_aws(service, lambda: next(answers), tokens=("t1", "t1", "t1", "t1"))
    assert await_notice(Aws(), sleep=lambda _: None)
    assert capsys.readouterr().out.count("cannot be asked, trying on") == 1


def test_a_service_that_is_not_there_is_asked_again(service: Service) -> None:
    play_aws(service, in_two_minutes)
    cloud = Aws()
    cloud._base = "http://127.0.0.1:1"
    waits: list[float] = []

    def appear(seconds: float) -> None:
        waits.append(seconds)
        cloud._base = service.url

    assert await_notice(cloud, sleep=appear)
    assert waits == [5.0]


def test_google_says_that_it_is_preempting(service: Service) -> None:
    state = iter(["FALSE", "TRUE"])

    def preempted(headers: dict[str, str]) -> Answer:
        return (200, next(state)) if headers.get("Metadata-Flavor") == "Google" else (403, "")

    service.answers["GET", "/computeMetadata/v1/instance/preempted"] = preempted
    cloud = Gcp()
    assert cloud.end() is None
    assert cloud.end() is not None


def test_a_notice_drains_the_node_of_this_machine_once(service: Service, stub_ray: Path, tmp_path: Path) -> None:
    play_aws(service, in_two_minutes)
    with raylet():
        assert main(["aws", "--lock", str(tmp_path / "lock")]) == 0
    (call,) = calls(stub_ray)
    start, _, seconds = call.rpartition(" ")
    assert start == (
        f"drain-node --address head:6379 --node-id {NODE} --reason DRAIN_NODE_REASON_PREEMPTION"
        " --reason-message spot --deadline-remaining-seconds"
    )
    assert 100 < int(seconds) <= 119


def test_a_head_that_does_not_answer_is_told_again(stub_ray: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stub_ray / "failures").write_text("once\n" * 3)
    with raylet():
        assert drain(datetime.now(UTC) + timedelta(minutes=2), sleep=lambda _: None)
    assert "cannot be drained: no answer from the head" in capsys.readouterr().out
    assert len(calls(stub_ray)) >= 1


def test_trying_ends_with_the_machine(stub_ray: Path) -> None:
    (stub_ray / "failures").write_text("always\n" * 1000)
    with raylet():
        assert not drain(datetime.now(UTC), sleep=lambda _: None)


def test_a_pod_that_is_told_to_end_drains_its_node(stub_ray: Path, tmp_path: Path) -> None:
    with raylet():
        assert main(["kubernetes", "--lock", str(tmp_path / "lock")]) == 0
    assert len(calls(stub_ray)) == 1


def test_a_second_watcher_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(tmp_path / "lock"):
        assert main(["aws", "--lock", str(tmp_path / "lock")]) == 0
    assert "another process watches here already" in capsys.readouterr().out
