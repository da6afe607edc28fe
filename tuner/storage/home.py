"""Where a search's truth is, and how its working folder on this machine follows it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from trainable.errors import UserError
from tuner.log import Event
from tuner.storage.place import Place

EVENTS_LOG, NOTES_LOG = "events.jsonl", "notes.jsonl"
"""in the working folder"""
CONTROL = "control"
"""what requests lie beneath"""
_WORKING = ", which runs"


class WritableLog(Protocol):
    """The growing end of an event log."""

    def write(self, head: Event, fields: Event, durable: bool) -> Event:
        """Append one event, numbered and dated, and return it."""
        ...

    def close(self) -> None: ...


class Home(Protocol):
    """What keeps a search: everything is read and written in `folder`, and the home says what of it is true.

    Paths are in `folder`, or are folders there. Where the home is the folder itself, most of this is nothing to do.
    """

    folder: Path
    look_seconds: float
    """between two looks for a request"""

    @property
    def place(self) -> Place:
        """What people call it by."""
        ...

    def claim(self) -> None:
        """Begin a search here. Raises FileExistsError where there is one, UserError where that cannot be."""
        ...

    def exists(self) -> bool:
        """Whether there is a search."""
        ...

    def refresh(self) -> None:
        """Have the folder hold the log, the notes and the tables as they are now; to the writer only notes are new."""
        ...

    def hold(self, work: str = "") -> AbstractContextManager[WritableLog]:
        """Be the only writer, and write the log; what else is written into the folder is brought home meanwhile.

        Args:
            work: the command that others are told of, where it is not a search's run, which heeds requests

        Raises:
            UserError: another process is the writer; names it.
        """
        ...

    def holder(self) -> str | None:
        """The process that is the writer, as `told_of_process`; None: there is none."""
        ...

    def note(self, head: Event, fields: Event) -> Event:
        """Append to the notes, also while another process is the writer. Raises OSError."""
        ...

    def remarks(self) -> list[str]:
        """What people should know of how files come home, once."""
        ...

    def paths(self, folder: Path) -> list[Path]:
        """The files that are kept in a folder, wherever they are."""
        ...

    def pull(self, *paths: Path) -> None:
        """Have these files, and those in these folders, as they are at home."""
        ...

    def push(self, *paths: Path) -> None:
        """Have the home hold these files, and those in these folders, as they are."""
        ...

    def let_go(self, *paths: Path) -> None:
        """Free this machine of files that the home holds."""
        ...

    def remove(self, *paths: Path) -> None:
        """Drop files wherever they are."""
        ...

    def request(self, name: str) -> None:
        """Ask the writer for something."""
        ...

    def requests(self) -> frozenset[str]:
        """What is asked for; nothing as well where that cannot be found out now."""
        ...

    def withdraw(self, names: Iterable[str] | None = None) -> None:
        """Take back what was asked for by these names; None: all of it."""
        ...


def told_of_process(number: int | str, host: str, work: str = "") -> str:
    """A process in words, such as `process 123 on box`, and what it does where that is not a search."""
    return f"process {number} on {host}" + (f"{_WORKING} `{work}`" if work else "")


def runs_search(process: str) -> bool:
    """Whether a process, as `told_of_process`, runs the search, and so heeds requests; empty: there is none."""
    return bool(process) and _WORKING not in process


def being_run(name: str, holder: str) -> UserError:
    """What a second writer is told."""
    remedy = "wait for it, or end it with `tuner stop`" if runs_search(holder) else "wait for that"
    return UserError(f"search {name!r} is being run by {holder}: one writer at a time; {remedy}")
