"""A database with somebody in it, data to search on, and a search that has been run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_rows import NOON
from small_service import SmallService, small_service

from tuner.result import Result
from tuner.service.database.connection import Database, open_database
from tuner.service.database.rows import DataSetRow, UserRow
from tuner.service.ids import new_id


@pytest.fixture
def service_database(tmp_path: Path) -> Iterator[Database]:
    """On SQLite, with the user `ada` and her ready data set `cats`."""
    database = open_database(f"sqlite:///{tmp_path}/service.db")
    database.migrate()
    with database.session() as session:
        ada = UserRow(id=new_id(), name="ada", created_at=NOON)
        session.add(ada)
        session.flush()
        data = {"path": str(tmp_path / "cats"), "reading": {"data_seed": 7}, "state": "ready", "created_at": NOON}
        session.add(DataSetRow(id=new_id(), name="cats", owner_id=ada.id, **data))
    yield database
    database.close()


@pytest.fixture(scope="session")
def searched_folder(searched: Result) -> Path:
    """Of four trials; not to be changed."""
    return searched.store.folder


@pytest.fixture
def service(service_database: Database, tmp_path: Path) -> Iterator[SmallService]:
    """That asks nobody for a token."""
    with small_service(service_database, tmp_path) as service:
        yield service
