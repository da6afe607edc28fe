"""A PostgreSQL server of a test's own, where its programs are found."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_SECONDS = 60


@contextmanager
def small_postgres() -> Iterator[str]:
    """The URL of an empty database, on loopback; skips where no server can be started."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no PostgreSQL on this machine")
    as_user = _as_user()
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        Path(folder).chmod(0o777)
        data = f"{folder}/data"
        made = _run(*as_user, "initdb", "--pgdata", data, "--auth", "trust", "--username", "thaw", "--no-sync")
        if made.returncode:
            pytest.skip(f"initdb: {made.stderr.strip().splitlines()[-1:]}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        control = (*as_user, "pg_ctl", "--pgdata", data, "--wait", "--timeout", str(_START_SECONDS))
        started = _run(*control, "--log", f"{folder}/log", "--options", options, "start")
        if started.returncode:
            pytest.skip("PostgreSQL does not start here")
        try:
            yield f"postgresql://thaw@127.0.0.1:{port}/postgres"
        finally:
            _run(*control, "--mode", "immediate", "stop")


def _as_user() -> tuple[str, ...]:
    """Root may not run it."""
    if os.geteuid():
        return ()
    if shutil.which("runuser") is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no runuser")
    return ("runuser", "-u", "nobody", "--")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryFile("w+") as told:  # a server that goes on would keep a pipe open
        ran = subprocess.run(command, stdout=told, stderr=told, stdin=subprocess.DEVNULL, cwd="/", check=False)
        told.seek(0)
        return subprocess.CompletedProcess(command, ran.returncode, "", told.read())
