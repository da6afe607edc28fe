"""Databases are opened, brought to today's tables, and shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy

from trainable.errors import UserError
from tuner.service.database.connection import Database, open_database
from tuner.service.database.rows import Row, SearchRow, UserRow
from tuner.service.ids import new_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    opened.migrate()
    yield opened
    opened.close()


def _user(name: str = "ada", **fields: object) -> UserRow:
    return UserRow(id=new_id(), name=name, created_at=NOON, **fields)


def test_rows_come_back_as_they_were(database: Database) -> None:
    in_kyiv = NOON.astimezone(timezone(timedelta(hours=2)))
    with database.session() as session:
        user = _user(gpu_hours=1.5)
        session.add(user)
        session.flush()
        session.add(
            SearchRow(
                id=new_id(),
                name="first",
                owner_id=user.id,
                submission={"space": "quick"},
                submitted_at=in_kyiv,
                desired="run",
                desired_at=NOON,
                wish=None,
                state="queued",
                state_since=NOON,
            )
        )
    with database.reading() as session:
        row = session.scalars(sqlalchemy.select(SearchRow)).one()
    assert row.submission == {"space": "quick"}
    assert row.submitted_at == in_kyiv
    assert row.submitted_at.tzinfo == UTC
    assert row.wish is None
    assert not row.has_wish
    assert row.owner is not None
    assert row.owner.gpu_hours == 1.5


def test_what_raises_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.session() as session:
            session.add(_user())
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.reading() as session:
        assert session.scalars(sqlalchemy.select(UserRow)).all() == []


def test_writers_take_turns(database: Database) -> None:
    """Each reads before it writes, and none is refused or lost."""
    with database.session() as session:
        session.add(_user(max_running=0))

    def count() -> None:
        for _ in range(10):
            with database.session() as session:
                user = session.scalars(sqlalchemy.select(UserRow).with_for_update()).one()
                user.max_running = (user.max_running or 0) + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.scalars(sqlalchemy.select(UserRow.max_running)).one() == 40


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.session() as session:
        session.add(_user())
        session.flush()
        with database.reading() as other:
            assert other.scalars(sqlalchemy.select(UserRow)).all() == []


@pytest.mark.usefixtures("database")
def test_tables_are_those_of_the_rows(database_url: str) -> None:
    """A migration that was forgotten would be found here."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Row.metadata) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "give sqlite:///FILE"),
        ("oracle2://x", "give sqlite:///FILE"),
        ("sqlite:////no/such/folder/service.db", "cannot be opened"),
        ("postgresql://me:secret@127.0.0.1:1/none", "cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_one_line_without_its_password(url: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as refused:
        open_database(url)
    assert len(str(refused.value).splitlines()) == 1
    assert "secret" not in str(refused.value)


def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    opened = open_database(f"sqlite:///{tmp_path}/service.db")
    opened.migrate()
    with opened.session() as session:
        session.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UserError, match="newer version of Thaw"):
        opened.migrate()
    assert opened.version() == "9999"
    opened.close()
