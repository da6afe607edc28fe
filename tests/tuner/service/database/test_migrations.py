"""A database of every earlier version is brought to today's, with all that is in it."""

from __future__ import annotations

import json

import pytest
import sqlalchemy

from tuner.service.database.connection import open_database, revisions
from tuner.service.database.rows import SearchRow

NOON = "2026-03-01 12:00:00"

ROWS_OF_0001: tuple[tuple[str, dict[str, object]], ...] = (
    ("users", {"id": "u1", "name": "ada", "created_at": NOON, "is_disabled": False}),
    (
        "tokens",
        {
            "id": "t1",
            "user_id": "u1",
            "name": "laptop",
            "sha256": "0" * 64,
            "scope": "submit",
            "created_at": NOON,
        },
    ),
    (
        "searches",
        {
            "id": "s1",
            "name": "first",
            "owner_id": "u1",
            "submission": json.dumps({"space": "quick"}),
            "priority": 3,
            "submitted_at": NOON,
            "desired": "run",
            "desired_at": NOON,
            "wish_number": 0,
            "state": "queued",
            "state_since": NOON,
            "reason": "",
            "attempts": 0,
            "wish_begun": 0,
        },
    ),
    (
        "data_sets",
        {
            "id": "d1",
            "name": "cats",
            "owner_id": "u1",
            "path": "/data/cats",
            "is_upload": False,
            "reading": "{}",
            "state": "ready",
            "created_at": NOON,
        },
    ),
    (
        "idempotency_keys",
        {"user_id": "u1", "key": "k", "request_sha256": "0" * 64, "search_id": "s1", "created_at": NOON},
    ),
    ("servers", {"id": 1, "number": 7, "host": "box", "process": "{}", "heartbeat_at": NOON}),
)
"""as that version wrote them: columns that came later are not there"""


@pytest.mark.parametrize("revision", revisions())
def test_rows_of_every_earlier_version_are_kept(database_url: str, revision: str) -> None:
    opened = open_database(database_url)
    assert opened.version() is None
    opened.migrate(revision)
    assert opened.version() == revision
    with opened.session() as session:
        for table, row in ROWS_OF_0001:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            session.execute(sqlalchemy.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)

    opened.migrate()
    opened.migrate()  # which finds nothing to do

    assert opened.version() == revisions()[-1]
    with opened.reading() as session:
        for table, _ in ROWS_OF_0001:
            assert session.execute(sqlalchemy.text(f"SELECT count(*) FROM {table}")).scalar() == 1
        row = session.scalars(sqlalchemy.select(SearchRow)).one()
    assert (row.name, row.priority, row.state, row.submission) == ("first", 3, "queued", {"space": "quick"})
    assert not row.has_changed
    assert row.owner is not None
    assert row.owner.name == "ada"
    opened.close()
