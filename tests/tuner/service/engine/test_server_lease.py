"""One server at a time has a database."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from service_rows import NOON

from trainable.errors import UserError
from tuner.processes import process_id
from tuner.service.database.connection import Database
from tuner.service.database.rows import ServerRow
from tuner.service.engine.server_lease import STALE_SECONDS, take_lease
from tuner.service.errors import LostLeaseError


def _held_by(database: Database, **fields: object) -> None:
    with database.session() as session:
        row = session.get_one(ServerRow, 1)
        for name, value in fields.items():
            setattr(row, name, value)


def test_a_second_server_is_refused_while_the_first_lives(service_database: Database) -> None:
    first = take_lease(service_database, NOON)
    with pytest.raises(UserError, match=r"the server of process \d+ on .* uses it"):
        take_lease(service_database, NOON + timedelta(hours=9))
    first.give_back(NOON)
    second = take_lease(service_database, NOON)
    assert second.number == first.number + 1
    with pytest.raises(LostLeaseError):
        first.beat(NOON)
    second.beat(NOON)


def test_one_that_was_killed_is_followed_at_once(service_database: Database) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = process_id(child.pid)
    assert known is not None
    first = take_lease(service_database, NOON)
    _held_by(service_database, process=known.plain)
    child.kill()
    child.communicate()
    take_lease(service_database, NOON)
    with pytest.raises(LostLeaseError):
        first.beat(NOON)


def test_another_machines_server_counts_as_gone_when_it_is_silent(service_database: Database) -> None:
    take_lease(service_database, NOON)
    _held_by(service_database, process={"number": 1, "started": "1", "machine": "another"}, host="box2")
    with pytest.raises(UserError, match="process 1 on box2"):
        take_lease(service_database, NOON + timedelta(seconds=STALE_SECONDS - 1))
    take_lease(service_database, NOON + timedelta(seconds=STALE_SECONDS + 1))
