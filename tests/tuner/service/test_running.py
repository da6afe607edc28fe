"""What a server refuses before it starts, and that each mistake is one line."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_rows import NOON
from small_searches import RunTuner

from tuner.cli import serving
from tuner.service import running
from tuner.service.access.accounts import create_token
from tuner.service.database.connection import open_database
from tuner.service.engine.server_lease import take_lease
from tuner.service.settings import ServiceSettings


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def _refused(run_tuner: RunTuner, results: Path, *options: object) -> str:
    ran = run_tuner("serve", "--results", results, *options)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    return line


def test_a_server_that_others_reach_needs_a_token(run_tuner: RunTuner, tmp_path: Path, taken_port: int) -> None:
    told = _refused(run_tuner, tmp_path, "--host", "0.0.0.0", "--port", taken_port)
    assert told.startswith("error: --host 0.0.0.0: whoever reaches it could run searches; make a token first")
    database = open_database(f"sqlite:///{tmp_path}/.service/service.db")
    with database.session() as session:
        create_token(session, "ada", "admin", NOON)
    database.close()
    told = _refused(run_tuner, tmp_path, "--host", "0.0.0.0", "--port", taken_port)
    assert "cannot be listened at" in told


def test_a_port_that_is_taken(run_tuner: RunTuner, tmp_path: Path, taken_port: int) -> None:
    told = _refused(run_tuner, tmp_path, "--port", taken_port)
    assert told == (
        f"error: --host 127.0.0.1 --port {taken_port}: cannot be listened at (Address already in use); give another "
        "--port, or 0 for any that is free"
    )


def test_a_second_server_of_a_database(run_tuner: RunTuner, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    database = open_database(f"sqlite:///{tmp_path}/state/service.db")
    database.migrate()
    take_lease(database, NOON)
    told = _refused(run_tuner, tmp_path, "--state", tmp_path / "state", "--port", 0)
    assert "the server of process" in told
    database.close()


def test_what_is_missing_or_wrong(run_tuner: RunTuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "greater than or equal to 1" in _refused(run_tuner, tmp_path, "--max-running", 0)
    assert "no Ray cluster answers" in _refused(run_tuner, tmp_path, "--address", "127.0.0.1:1")
    assert "give sqlite:///FILE" in _refused(run_tuner, tmp_path, "--database", "nonsense")
    monkeypatch.setattr(serving, "_NEEDED", ("no_such_package",))
    told = _refused(run_tuner, tmp_path)
    assert told == (
        "error: the service needs packages that are not installed (no_such_package): pip install 'thaw-tuner[service]'"
    )


def test_answers_do_not_wait_to_be_sent_together(tmp_path: Path) -> None:
    settings = ServiceSettings(results=tmp_path, state=tmp_path, database_url="sqlite://", port=0)

    async def is_sent_at_once() -> bool:
        found = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with running._listening(settings) as listening:
            async with await asyncio.start_server(answer, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return bool(await found)

    assert asyncio.run(is_sent_at_once())


def test_a_server_may_have_as_many_listeners_as_the_system_lets_it() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        running._allow_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(soft, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
