"""results/<name>/ on disk: one folder a search, one event log in it that is the only truth, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from trainable.errors import UserError, nearest
from tuner.log import Event as Event
from tuner.log import OpenLog, read_log
from tuner.records import SearchRecord
from tuner.replay import replay

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_LOG = "events.jsonl"


class Store:
    """One search's folder: where its files are, and its event log.

    `events` may be read by anyone at any time. `append` is for one driver, from one thread; it holds the lock.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.warnings: list[str] = []
        """what the latest reading of the log had to skip, one line each"""
        self.listeners: list[Callable[[Event], None]] = []
        """called with every event that is appended here, once it is in the log"""
        self._log: OpenLog | None = None

    @staticmethod
    def require_free(results_dir: Path | str, name: str) -> None:
        """Find out that a name cannot be a new search's before any work goes into it.

        Raises:
            UserError: the name is not a plain file name, or is taken, or its place is a file.
        """
        if not _NAME.fullmatch(name):
            raise UserError(
                f"search name {name!r}: up to 100 letters, digits, '.', '_' and '-', not starting with '.' or '-'; "
                "choose such a name"
            )
        if Path(results_dir).is_file():
            raise UserError(f"results folder {str(results_dir)!r} is a file; give another with --results")
        if (Path(results_dir) / name).exists():
            raise _taken(results_dir, name)

    @classmethod
    def create(cls, results_dir: Path | str, name: str) -> Store:
        """A new, empty search folder.

        Raises:
            UserError: the name is not a plain file name, is taken, or the folder cannot be made.
        """
        cls.require_free(results_dir, name)
        store = cls(Path(results_dir) / name)
        try:
            store.folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"results folder {str(results_dir)!r} cannot be made ({error.strerror}); give another with --results"
            ) from None
        try:
            store.folder.mkdir()
        except FileExistsError:
            raise _taken(results_dir, name) from None
        except OSError as error:
            raise UserError(
                f"search folder {str(store.folder)!r} cannot be made ({error.strerror}); "
                "give another place with --results"
            ) from None
        store.events_jsonl.touch()
        return store

    @classmethod
    def open(cls, name_or_path: Path | str, results_dir: Path | str) -> Store:
        """The search of this name in `results_dir`, or else the one at this path.

        Raises:
            UserError: there is no such search; names the nearest one.
        """
        for folder in (Path(results_dir) / name_or_path, Path(name_or_path)):
            if (folder / _LOG).is_file():
                return cls(folder)
        names = [store.name for store in list_searches(results_dir)]
        hint = nearest(str(name_or_path), names) or ("; see `tuner ls`" if names else "; none has been run there yet")
        raise UserError(f"no search {str(name_or_path)!r} in {results_dir}: give a search's name or its folder{hint}")

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def events_jsonl(self) -> Path:
        return self.folder / _LOG

    @property
    def notes_jsonl(self) -> Path:
        return self.folder / "notes.jsonl"

    @property
    def splits(self) -> Path:
        return self.folder / "splits.csv"

    @property
    def search_yaml(self) -> Path:
        return self.folder / "search.yaml"

    @property
    def best_yaml(self) -> Path:
        return self.folder / "best.yaml"

    @property
    def top(self) -> Path:
        """The folder of the best trials' YAML files."""
        return self.folder / "top"

    @property
    def leaderboard_md(self) -> Path:
        return self.folder / "leaderboard.md"

    @property
    def leaderboard_csv(self) -> Path:
        return self.folder / "leaderboard.csv"

    @property
    def journal_md(self) -> Path:
        """This search's entry of the journal beside its folder."""
        return self.folder / "journal.md"

    @property
    def study_db(self) -> Path:
        return self.folder / "study.db"

    @property
    def ray(self) -> Path:
        """The folder that Ray may fill as it likes."""
        return self.folder / "ray"

    @property
    def control(self) -> Path:
        """The folder of requests to the driver."""
        return self.folder / "control"

    def checkpoints(self, trial: str) -> Path:
        """The folder of a trial's checkpoints, written by its worker."""
        return self.folder / "checkpoints" / trial

    def best_checkpoint(self, trial: str) -> Path:
        """A trial's model of its best epoch."""
        return self.checkpoints(trial) / "best.pt"

    def last_checkpoint(self, trial: str) -> Path:
        """A trial's state after its last epoch; with the optimiser's state it is the largest file of a trial."""
        return self.checkpoints(trial) / "last.pt"

    def trials_with_checkpoints(self) -> list[str]:
        folder = self.folder / "checkpoints"
        return [trial.name for trial in folder.iterdir()] if folder.is_dir() else []

    def drop_checkpoint(self, file: Path) -> None:
        """Delete one that nothing needs any more; what cannot be deleted now is left to a later run."""
        with suppress(OSError):
            file.unlink(missing_ok=True)
            file.parent.rmdir()  # unless there are others

    def drop_unfinished(self) -> None:
        """Delete what killed workers left half-written."""
        for file in (*self.folder.glob("checkpoints/*/*.partial"), *self.folder.glob("predictions/*.partial")):
            file.unlink(missing_ok=True)

    def predictions(self, trial: str) -> Path:
        """The file of a trial's validation logits at its best epoch, written by its worker."""
        return self.folder / "predictions" / f"{trial}.npz"

    def test_predictions(self, trial: str) -> Path:
        """The file of a trial's logits on test, written where it was scored there."""
        return self.folder / "predictions" / f"{trial}.test.npz"

    @property
    def plots(self) -> Path:
        """The folder of pictures."""
        return self.folder / "plots"

    @property
    def conclusions_md(self) -> Path:
        return self.folder / "conclusions.md"

    def conclusions(self) -> str:
        """What the search led to, in Markdown; empty before its end."""
        try:
            return self.conclusions_md.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def events(self) -> Iterator[Event]:
        """The log's events in order, a half-written last line left out; `warnings` then names the lines skipped."""
        self.warnings = []
        yield from read_log(self.events_jsonl, self.warnings)

    def notes(self) -> Iterator[Event]:
        """People's remarks in order, as `note` events; they have a log of their own."""
        if self.notes_jsonl.exists():
            yield from (event for event in read_log(self.notes_jsonl, self.warnings) if event.get("kind") == "note")

    def record(self) -> SearchRecord:
        """The search as its log tells it; one that is said to run though no process holds it was ended from outside."""
        found = replay(chain(self.events(), self.notes()))
        if found.status == "running" and not self.held():
            return replace(found, status="stopped", reason="its process is gone")
        return found

    @property
    def stop_request(self) -> Path:
        """A file that asks the driver to stop; it removes it once it has."""
        return self.control / "stop"

    def held(self) -> bool:
        """Whether a process is running this search."""
        try:
            with (self.folder / "lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def holder(self) -> str:
        """The process that runs this search, such as `process 123 on box`; empty where that is not known."""
        try:
            return (self.folder / "lock").read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def append(self, kind: str, trial: str | None = None, **fields: Any) -> Event:
        """Write one event, durably when it ends something, and return it as it will be read.

        Outside `lock` the lock is held for this one event. NaN and infinities are stored as null.

        Raises:
            UserError: another process is writing to this search.
        """
        with self.lock():
            assert self._log is not None
            durable = kind in ("trial_ended", "test_scored", "retrained") or kind.startswith("search_")
            event = self._log.write({"kind": kind} | ({"trial": trial} if trial is not None else {}), fields, durable)
        for listener in self.listeners:
            listener(event)
        return event

    def note(self, text: str, trial: str | None = None) -> Event:
        """Write a person's remark, durably, and return it as it will be read; also while another process has the lock.

        Raises:
            OSError: the folder cannot be written to.
        """
        with self.notes_jsonl.open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with closing(OpenLog(self.notes_jsonl)) as log:
                return log.write({"kind": "note"} | ({"trial": trial} if trial else {}), {"text": text}, durable=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be this search's only writer; may be entered again by the store that holds it.

        It is the operating system's lock: it goes with the process, however that ends. Entering cuts off a line that
        an earlier writer left half-written.

        Raises:
            UserError: another process holds it; names its id and host.
        """
        if self._log is not None:
            yield
            return
        with (self.folder / "lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"search {self.name!r} is being run by {self.holder() or 'another process'}: one writer at a time; "
                    f"wait for it, or end it with `tuner stop`"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            self._log = OpenLog(self.events_jsonl)
            try:
                yield
            finally:
                self._log.close()
                self._log = None


def _taken(results_dir: Path | str, name: str) -> UserError:
    return UserError(
        f"search {name!r} exists in {results_dir}: nothing is overwritten; choose another name with --name"
    )


def list_searches(results_dir: Path | str) -> list[Store]:
    """The searches in a results folder, by name; none when there is no such folder."""
    folder = Path(results_dir)
    if not folder.is_dir():
        return []
    return [Store(path.parent) for path in sorted(folder.glob(f"*/{_LOG}"))]


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by this text, UTF-8, so that a reader or a crash sees the old file or the new, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            # A half surrogate from someone's file name must not stop a table from being written.
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
