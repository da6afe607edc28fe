"""Labelled images that searches may name: registered by a path beneath the server's data roots, or uploaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from trainable.errors import UserError, nearest
from tuner.config import DataConfig, DataReading
from tuner.service.access.accounts import Caller
from tuner.service.database.rows import DataSetRow, SearchRow
from tuner.service.errors import ConflictError, NotFoundError, TooLargeError
from tuner.service.ids import new_id
from tuner.service.settings import ServiceSettings

_RESERVE_BYTES = 1 << 30
"""that an upload leaves free on its disk"""


def register(
    session: Session,
    name: str,
    given: str | None,
    reading: DataReading,
    owner: Caller,
    settings: ServiceSettings,
    now: datetime,
) -> DataSetRow:
    """A new data set: to be inspected, or, without a path, to be uploaded.

    Raises:
        UserError: the path is none beneath the server's data roots.
        ConflictError: the name is taken.
    """
    path = "" if given is None else str(path_beneath(given, settings.data_roots))
    if session.scalar(select(DataSetRow.id).where(DataSetRow.name == name)):
        raise ConflictError(f"data set {name!r} exists: delete it first, or choose another name")
    row = DataSetRow(
        id=new_id(),
        name=name,
        owner_id=owner.user_id,
        path=path,
        is_upload=given is None,
        reading=reading.model_dump(mode="json", exclude_defaults=True),
        state="empty" if given is None else "inspecting",
        created_at=now,
    )
    session.add(row)
    session.flush()
    session.refresh(row, ["owner"])
    return row


def path_beneath(given: str, roots: Sequence[Path]) -> Path:
    """The folder or table that is meant, links followed: absolute, or relative to a root.

    What lies elsewhere is not looked at, so that nobody learns what there is.

    Raises:
        UserError: it is not there, or not beneath a root.
    """
    if not roots:
        raise UserError("path: this server has no data roots; upload the data, or start it with --data-root FOLDER")
    real = [root.expanduser().resolve() for root in roots]
    for root in real:
        asked = Path(os.path.normpath(root / given)) if given.isprintable() else root.parent
        if asked.is_relative_to(root) and asked.exists():
            found = asked.resolve()
            if any(found.is_relative_to(one) for one in real):
                return found
    raise UserError(f"path: there is no {given!r} beneath the server's data roots; ask who runs it what they hold")


def roots_of(row: DataSetRow, settings: ServiceSettings) -> list[Path]:
    """The folders that a data set's images may lie in."""
    if row.is_upload:
        return [folder_of(row, settings).resolve()]
    return [root.expanduser().resolve() for root in settings.data_roots]


def config_of(row: DataSetRow) -> DataConfig:
    """What is read, and how."""
    return DataConfig(path=Path(row.path), **row.reading)


def find_data(session: Session, name: str) -> DataSetRow:
    """A data set. Raises NotFoundError; names the nearest one."""
    row = session.scalar(select(DataSetRow).where(DataSetRow.name == name))
    if row is None:
        raise NotFoundError(f"there is no data set {name!r}{nearest(name, session.scalars(select(DataSetRow.name)))}")
    _ = row.owner  # while the session is there
    return row


def list_data(session: Session, after: str | None, limit: int) -> Sequence[DataSetRow]:
    """Data sets by name, those after this one; one more than `limit` where there are more."""
    asked = select(DataSetRow).order_by(DataSetRow.name).limit(limit + 1)
    rows = session.scalars(asked if after is None else asked.where(DataSetRow.name > after)).all()
    for row in rows:
        _ = row.owner  # while the session is there
    return rows


def remove(session: Session, row: DataSetRow, settings: ServiceSettings) -> None:
    """Forget a data set; what was uploaded of it goes, what was registered stays.

    Raises:
        ConflictError: a search needs it, or it is being inspected.
    """
    if row.state == "inspecting":
        raise ConflictError(f"data set {row.name!r} is being inspected; wait for that")
    names = select(SearchRow.name).where(
        SearchRow.submission["data"].as_string() == row.name, SearchRow.state != "deleted"
    )
    if used := session.scalars(names.limit(3)).all():
        raise ConflictError(f"data set {row.name!r} is needed by searches ({', '.join(used)}); delete them first")
    session.delete(row)
    listing_of(row, settings).unlink(missing_ok=True)
    if row.is_upload:
        shutil.rmtree(folder_of(row, settings), ignore_errors=True)


def require_uploadable(row: DataSetRow) -> None:
    """Find out that an archive may come. Raises ConflictError."""
    if not row.is_upload:
        raise ConflictError(f"data set {row.name!r} is registered by its path: nothing is uploaded to it")
    if row.state in ("inspecting", "ready"):
        raise ConflictError(f"data set {row.name!r} is {row.state}: register another one")


def archive_of(row: DataSetRow, settings: ServiceSettings) -> Path:
    """The file that an uploaded archive is in until it is unpacked."""
    return settings.uploads / f"{row.id}.archive"


def folder_of(row: DataSetRow, settings: ServiceSettings) -> Path:
    """The folder that it is unpacked into."""
    return settings.uploads / row.id


def listing_of(row: DataSetRow, settings: ServiceSettings) -> Path:
    """The list of a data set's pictures."""
    return settings.uploads / f"{row.id}.pictures"


async def receive(chunks: AsyncIterator[bytes], archive: Path, settings: ServiceSettings) -> None:
    """Write an archive as it comes; there is none until all of it is there.

    Raises:
        TooLargeError: it is larger than the service takes, or than there is room for.
        ConflictError: another one is coming.
    """
    archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    room = shutil.disk_usage(archive.parent).free - _RESERVE_BYTES
    most = min(int(settings.upload_gib * 2**30), room)
    coming = archive.with_suffix(".coming")
    try:
        file = coming.open("xb")
    except FileExistsError:
        raise ConflictError("an archive of this data set is coming in already") from None
    written = 0
    try:
        with file:
            async for chunk in chunks:
                written += len(chunk)
                if written > most:
                    raise TooLargeError(f"the archive is larger than {most / 2**30:.3g} GiB, which is what it may have")
                file.write(chunk)
        coming.replace(archive)
    finally:
        coming.unlink(missing_ok=True)
