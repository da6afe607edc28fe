"""Which command a search's driver is: all that it needs lies in the search's row and folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from trainable.errors import UserError
from tuner.service.database.rows import DataSetRow, SearchRow
from tuner.service.settings import ServiceSettings
from tuner.service.submissions.submission import (
    Extend,
    GoOn,
    Submission,
    going_on_arguments,
    read_wish,
    reading_of,
    search_arguments,
)
from tuner.store import write_atomically


@dataclass(frozen=True)
class Command:
    """Arguments of `tuner`."""

    arguments: list[str]
    wish: int = 0
    """the number of the wish that it begins"""


def command_of(
    row: SearchRow, session: Session, settings: ServiceSettings, address: str | None, *, has_begun: bool
) -> Command:
    """What begins a search, goes on with it, or extends it.

    Args:
        address: of the Ray that it joins
        has_begun: whether its folder has something to go on with

    Raises:
        UserError: its data are gone, or it was found before it had begun, so that nobody knows what it is.
    """
    where = [f"--results={settings.results}"] + ([f"--address={address}"] if address else [])
    wish = read_wish(row.wish) if row.has_wish and row.wish is not None else GoOn()
    wish = wish.model_copy(update={"accept_changes": wish.accept_changes or settings.accept_changes})
    if not has_begun:
        submission = Submission.model_validate(row.submission) if row.submission else None
        if submission is None:
            raise UserError(f"search {row.name!r} was killed before it had begun: delete it and submit it again")
        data = session.scalar(select(DataSetRow).where(DataSetRow.name == submission.data))
        if data is None or data.state != "ready":
            raise UserError(f"data set {submission.data!r} is gone: register it again and resume")
        space = _space(row, settings, submission.space, submission.space_yaml, "space")
        reading = reading_of(submission, data.reading)
        arguments = search_arguments(submission, row.name, space, Path(data.path), reading)
        return Command([arguments[0], *where, *arguments[1:]], row.wish_number if isinstance(wish, GoOn) else 0)
    wider = None
    if isinstance(wish, Extend) and (wish.space or wish.space_yaml):
        wider = _space(row, settings, wish.space, wish.space_yaml, f"wider-{row.wish_number}")
    arguments = going_on_arguments(wish, row.name, wider)
    return Command([arguments[0], *where, *arguments[1:]], row.wish_number if row.has_wish else 0)


def _space(row: SearchRow, settings: ServiceSettings, name: str | None, written: str | None, folder: str) -> str:
    """A shipped space's name, or a file with a submitted one; a search calls that by its own name."""
    if name is not None:
        return name
    file = settings.state / "spaces" / row.id / folder / f"{row.name}.yaml"
    write_atomically(file, written or "")
    return str(file.absolute())
