"""An upload from its archive to what `tuner inspect` says of it, by the commands themselves."""

from __future__ import annotations

import asyncio
import tarfile
from pathlib import Path

import pytest
from service_rows import NOON
from small_searches import write_class_folders
from sqlalchemy import select

from tuner.service.data.data_sets import archive_of
from tuner.service.data.inspections import Inspections
from tuner.service.database.connection import Database
from tuner.service.database.rows import DataSetRow
from tuner.service.ids import new_id
from tuner.service.settings import ServiceSettings


@pytest.mark.real
def test_an_upload_is_unpacked_listed_and_inspected(service_database: Database, tmp_path: Path) -> None:
    settings = ServiceSettings(results=tmp_path / "results", state=tmp_path / "state", database_url="sqlite://")
    data = {"path": "", "is_upload": True, "reading": {"data_seed": 3}, "state": "inspecting", "created_at": NOON}
    row = DataSetRow(id=new_id(), name="flowers", **data)
    archive = archive_of(row, settings)
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(write_class_folders(tmp_path / "flowers"), "flowers")
    with service_database.session() as session:
        session.add(row)

    async def inspect() -> None:
        inspections = Inspections(settings, service_database)
        inspections.start()
        await inspections.wait()

    asyncio.run(inspect())
    with service_database.reading() as session:
        found = session.scalars(select(DataSetRow).where(DataSetRow.name == "flowers")).one()
    assert found.told
    assert (found.state, found.told["images"], found.told["task"]) == ("ready", 40, "multiclass")
    assert Path(found.path) == settings.uploads / row.id / "flowers"
    assert str(settings.uploads) not in str(found.told)
