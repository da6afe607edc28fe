"""Data sets unpacked, listed and inspected one after another, in processes of their own; begun anew after a restart."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tuner.service.commands import TUNER, run_command
from tuner.service.data import listing, unpacking
from tuner.service.data.data_sets import archive_of, config_of, folder_of, listing_of, roots_of
from tuner.service.data.unpacking import UnpackLimits, data_in
from tuner.service.database.connection import Database
from tuner.service.database.rows import DataSetRow
from tuner.service.settings import ServiceSettings
from tuner.service.submissions.submission import as_options

_log = logging.getLogger(__name__)

SECONDS = 3600.0
"""for each step"""
_SHOWN = 200
"""problems, duplicates and the like that are kept of each kind"""


class RefusedDataError(Exception):
    """Data that cannot be searched on, with a line for each reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Inspections:
    """One at a time; used in the server's event loop."""

    def __init__(self, settings: ServiceSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin with those that a server before left."""
        for left in self._settings.uploads.glob("*.coming"):
            left.unlink(missing_ok=True)
        with self._database.reading() as session:
            ids = session.scalars(select(DataSetRow.id).where(DataSetRow.state == "inspecting")).all()
        for id in ids:
            self.begin(id)

    def begin(self, id: str) -> None:
        """Have a data set inspected, after those that wait."""
        task = asyncio.create_task(self._inspect(id), name=f"inspection of {id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """Until none is left."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """End what runs; it is begun anew by the next server."""
        for task in list(self._tasks):
            task.cancel()
        for task in list(self._tasks):
            with suppress(asyncio.CancelledError):
                await task

    async def _inspect(self, id: str) -> None:
        async with self._turn:
            row = await asyncio.to_thread(self._row, id)
            if row is None or row.state != "inspecting":
                return
            try:
                await self._unpack(row)
                told = await self._look(row)
                await asyncio.to_thread(self._note, row, True, told)
            except RefusedDataError as error:
                await asyncio.to_thread(self._note, row, False, {"mistakes": error.mistakes[:_SHOWN]})
            except Exception:
                _log.exception("data set %s could not be inspected", row.name)
                mistakes = ["the server could not inspect it: its log tells more"]
                await asyncio.to_thread(self._note, row, False, {"mistakes": mistakes})

    async def _unpack(self, row: DataSetRow) -> None:
        archive, folder = archive_of(row, self._settings), folder_of(row, self._settings)
        if not row.is_upload or not archive.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier attempt
        limits = UnpackLimits(total_bytes=self._settings.unpacked_bytes, files=self._settings.upload_files)
        try:
            ended = await run_command(unpacking.arguments(archive, folder, limits), archive.parent, SECONDS)
            if ended.code != 0:
                raise RefusedDataError(ended.mistakes)
        except RefusedDataError:
            archive.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        row.path = str(data_in(folder))
        await asyncio.to_thread(self._note_path, row)
        archive.unlink(missing_ok=True)

    async def _look(self, row: DataSetRow) -> dict[str, Any]:
        """What `tuner inspect --json` tells."""
        config = config_of(row)
        listed = listing_of(row, self._settings)
        listed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = listing.arguments(config, roots_of(row, self._settings), listed)
        ended = await run_command(told, listed.parent, SECONDS)
        if ended.code != 0:
            raise RefusedDataError(ended.mistakes)
        options = as_options(config.model_dump(exclude_defaults=True, exclude={"path"}))
        command = [*TUNER, "inspect", *options, "--json", "--", str(config.path)]
        ended = await run_command(command, listed.parent, SECONDS)
        try:
            found = json.loads(ended.out)
        except ValueError:
            raise RefusedDataError(ended.mistakes) from None
        if ended.code != 0:
            errors = [f"{one['row']}: {one['message']}" for one in found["problems"] if one["severity"] == "error"]
            warnings = [f"{one['row']}: {one['message']}" for one in found["problems"]]
            raise RefusedDataError(errors or warnings)
        return {name: part[:_SHOWN] if isinstance(part, list) else part for name, part in found.items()}

    def _row(self, id: str) -> DataSetRow | None:
        with self._database.reading() as session:
            return session.get(DataSetRow, id)

    def _note_path(self, row: DataSetRow) -> None:
        with self._database.session() as session:
            if found := session.get(DataSetRow, row.id):
                found.path = row.path

    def _note(self, row: DataSetRow, is_ready: bool, told: dict[str, Any]) -> None:
        with self._database.session() as session:
            if found := session.get(DataSetRow, row.id):
                found.state, found.told = "ready" if is_ready else "refused", _safe(told, Path(row.path))


def _safe(told: dict[str, Any], path: Path) -> dict[str, Any]:
    """Without the server's own paths before the data's."""
    if not path.parts:
        return told
    text = json.dumps(told).replace(json.dumps(f"{path}/")[1:-1], "").replace(json.dumps(str(path))[1:-1], path.name)
    found: dict[str, Any] = json.loads(text)
    return found
