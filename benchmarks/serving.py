"""A server of the service's own, as its users start it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.comparing import ROOT, quiet_environment
from tuner.client import Client
from tuner.client.refusals import UnreachableError
from tuner.service.access.accounts import create_token
from tuner.service.database.connection import open_database
from tuner.service.database.rows import DataSetRow, UserRow
from tuner.service.ids import new_id

START_SECONDS = 60.0
DATA_SET = "pictures"


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    url: str
    pid: int
    token: str
    """of a user who may submit searches, none of which is begun"""


@contextmanager
def served(scratch: Path, results: Path) -> Iterator[Served]:
    """`tuner serve` on loopback, at a free port, until the end."""
    state = scratch / "state"
    state.mkdir()
    database = f"sqlite:///{state / 'service.db'}"
    token = _fill(database, state)
    command = [sys.executable, "-m", "tuner.cli", "serve", "--port", "0", "--results", results, "--state", state]
    output = scratch / "served.log"
    with output.open("w") as log:
        process = subprocess.Popen(
            [*map(str, command), "--database", database],
            cwd=ROOT,
            env=quiet_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Served(_url(process, output, token), process.pid, token)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _fill(database_url: str, state: Path) -> str:
    """A user, who has no GPU time left, with a data set; returns a token."""
    database, now = open_database(database_url), datetime.now(UTC)
    database.migrate()
    with database.session() as session:
        token, text = create_token(session, "load", "admin", now)
        session.get_one(UserRow, token.user_id).gpu_hours = 0.0
        session.add(DataSetRow(id=new_id(), name=DATA_SET, path=str(state), reading={}, state="ready", created_at=now))
    database.close()
    return text


def _url(process: subprocess.Popen[bytes], output: Path, token: str) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", output.read_text()):
            with Client(found[0], token) as client:
                try:
                    client.me()
                    return found[0]
                except UnreachableError:  # it is about to listen
                    pass
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {output.read_text()}")
