"""A search whose home is its folder: the working null object."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from trainable.errors import UserError
from tuner.log import Event, OpenLog
from tuner.storage.file_lock import locked, locker
from tuner.storage.home import CONTROL, EVENTS_LOG, NOTES_LOG, WritableLog
from tuner.storage.place import Place


class LocalHome:
    """Nothing has to be brought anywhere."""

    look_seconds = 0.5

    def __init__(self, folder: Path) -> None:
        self.place: Place = folder
        self.folder = folder

    def claim(self) -> None:
        results = self.folder.parent
        try:
            results.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"results folder {str(results)!r} cannot be made ({error.strerror}); give another with --results"
            ) from None
        try:
            self.folder.mkdir()
        except FileExistsError:
            raise
        except OSError as error:
            raise UserError(
                f"search folder {str(self.folder)!r} cannot be made ({error.strerror}); "
                "give another place with --results"
            ) from None
        (self.folder / EVENTS_LOG).touch()

    def exists(self) -> bool:
        return (self.folder / EVENTS_LOG).is_file()

    def refresh(self) -> None:
        """It is as it is."""

    @contextmanager
    def hold(self, work: str = "") -> Iterator[WritableLog]:
        with locked(self.folder, work), closing(OpenLog(self.folder / EVENTS_LOG)) as log:
            yield log

    def holder(self) -> str | None:
        return locker(self.folder)

    def note(self, head: Event, fields: Event) -> Event:
        path = self.folder / NOTES_LOG
        with path.open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with closing(OpenLog(path)) as log:
                return log.write(head, fields, durable=True)

    def remarks(self) -> list[str]:
        return []

    def paths(self, folder: Path) -> list[Path]:
        return [path for path in folder.rglob("*") if path.is_file()]

    def pull(self, *paths: Path) -> None:
        """They are here."""

    def push(self, *paths: Path) -> None:
        """This is where they are kept."""

    def let_go(self, *paths: Path) -> None:
        """They would be gone."""

    def remove(self, *paths: Path) -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    def request(self, name: str) -> None:
        self._control.mkdir(exist_ok=True)
        (self._control / name).touch()

    def requests(self) -> frozenset[str]:
        return frozenset(path.name for path in self._control.glob("*"))

    def withdraw(self, names: Iterable[str] | None = None) -> None:
        for name in self.requests() if names is None else names:
            (self._control / name).unlink(missing_ok=True)

    @property
    def _control(self) -> Path:
        return self.folder / CONTROL
