"""A database of every earlier version is brought to today's, with all that is in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy

from trainable.errors import UserError
from tuner.service.database import connection
from tuner.service.database.connection import Database, open_database, revisions
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
    _insert(opened, ROWS_OF_0001)

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


NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", {last!r}


def upgrade() -> None:
    for table in ("users", "searches"):
        with op.batch_alter_table(table) as batch:
            batch.alter_column("name", type_=sa.String(150), existing_nullable=False)
            batch.add_column(sa.Column("added", sa.Integer(), nullable=False, server_default="7"))
"""
"""a version to come, which changes tables that others refer to; SQLite does that by making them anew"""


def test_a_version_to_come_may_change_tables_that_others_refer_to(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_database(database_url)
    opened.migrate()
    _insert(opened, ROWS_OF_0001)
    migrations = tmp_path / "migrations"
    shutil.copytree(connection._MIGRATIONS, migrations)
    (migrations / "versions" / "9999_next.py").write_text(NEXT.format(last=revisions()[-1]))
    with monkeypatch.context() as patch:
        patch.setattr(connection, "_MIGRATIONS", migrations)
        opened.migrate()
    assert opened.version() == "9999"
    with opened.reading() as session:
        for table, _ in ROWS_OF_0001:
            assert session.execute(sqlalchemy.text(f"SELECT count(*) FROM {table}")).scalar() == 1, table
        assert session.execute(sqlalchemy.text("SELECT added FROM searches")).scalar() == 7
    with pytest.raises(sqlalchemy.exc.IntegrityError), opened.session() as session:  # and still refer to them
        session.execute(sqlalchemy.text("UPDATE tokens SET user_id = 'nobody'"))
    with pytest.raises(UserError, match="a newer version of Thaw has written it"):
        opened.migrate()  # by the version from before
    opened.close()


def _insert(opened: Database, rows: tuple[tuple[str, dict[str, object]], ...]) -> None:
    with opened.session() as session:
        for table, row in rows:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            session.execute(sqlalchemy.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
