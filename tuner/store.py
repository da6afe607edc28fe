"""results/<name>/ on disk: one folder a search, one event log in it that is the only truth, one writer at a time."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from trainable.errors import UserError, nearest
from tuner.links import read_links
from tuner.log import Event as Event
from tuner.log import read_log
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.storage.home import EVENTS_LOG, NOTES_LOG, WritableLog
from tuner.storage.homes import home_at
from tuner.storage.place import Place, as_place, beneath, is_url, split_place
from tuner.storage.results_folder import require_results, searches_in
from tuner.wording.language import marked

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class Store:
    """One search's folder: where its files are, and its event log.

    `events` may be read by anyone at any time. `append` is for one driver, from one thread; it holds the lock.
    Where results lie under a URL, the folder is this machine's copy of what is there.
    """

    def __init__(self, place: Place) -> None:
        self.home = home_at(place)
        self.folder = self.home.folder
        self.warnings: list[str] = []
        """what the latest reading of the log had to skip, one line each"""
        self.listeners: list[Callable[[Event], None]] = []
        """called with every event that is appended here, once it is in the log"""
        self._appending = threading.RLock()
        """the thread that watches Ray may have the last word while another one is amid an event"""
        self._log: WritableLog | None = None

    @staticmethod
    def require_free(results: Place, name: str) -> None:
        """Find out that a name cannot be a new search's before any work goes into it.

        Raises:
            UserError: the name is not a plain file name, or is taken, or its place is a file or cannot be reached.
        """
        if not _NAME.fullmatch(name):
            raise UserError(
                f"search name {name!r}: up to 100 letters, digits, '.', '_' and '-', not starting with '.' or '-'; "
                "choose such a name"
            )
        require_results(results)
        home = home_at(beneath(as_place(results), name))
        if home.exists() or (home.place == home.folder and home.folder.exists()):
            raise _taken(results, name)

    @classmethod
    def create(cls, results: Place, name: str) -> Store:
        """A new, empty search.

        Raises:
            UserError: the name is not a plain file name, is taken, or its folder cannot be made.
        """
        cls.require_free(results, name)
        store = cls(beneath(as_place(results), name))
        try:
            store.home.claim()
        except FileExistsError:
            raise _taken(results, name) from None
        return store

    @classmethod
    def open(cls, given: Place, results: Place) -> Store:
        """The search of this name in `results`, or else the one at this place, as it is now.

        Raises:
            UserError: there is no such search; names the nearest one.
        """
        places = [as_place(given)] if is_url(given) else [beneath(as_place(results), str(given)), as_place(given)]
        for place in places:
            store = cls(place)
            if store.home.exists():
                store.home.refresh()
                return store
        require_results(split_place(places[0])[0] if is_url(given) else results)
        names = [store.name for store in list_searches(results)]
        hint = nearest(str(given), names) or ("; see `tuner ls`" if names else "; none has been run there yet")
        raise UserError(f"no search {str(given)!r} in {results}: give a search's name or its folder{hint}")

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def place(self) -> Place:
        """Where its results are, as people call it: its folder, or a URL."""
        return self.home.place

    @property
    def results(self) -> Place:
        """The results folder, or URL, that it is in."""
        return split_place(self.place)[0]

    def shown(self, path: Path) -> Place:
        """One of its files as people call it."""
        return beneath(self.place, path.relative_to(self.folder).as_posix())

    @property
    def events_jsonl(self) -> Path:
        return self.folder / EVENTS_LOG

    @property
    def notes_jsonl(self) -> Path:
        return self.folder / NOTES_LOG

    @property
    def splits(self) -> Path:
        return self.folder / "splits.csv"

    @property
    def search_yaml(self) -> Path:
        return self.folder / "search.yaml"

    @property
    def inspection_json(self) -> Path:
        return self.folder / "inspection.json"

    @property
    def suspected_json(self) -> Path:
        return self.folder / "suspected.json"

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
    def report_html(self) -> Path:
        """The page that tells the whole search."""
        return self.folder / "report.html"

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
        return sorted({path.relative_to(folder).parts[0] for path in self.home.paths(folder)})

    def drop_checkpoint(self, file: Path) -> None:
        """Delete one that nothing needs any more; what cannot be deleted now is left to a later run."""
        with suppress(OSError):
            self.home.remove(file)
            shutil.rmtree(file.parent / "parent", ignore_errors=True)  # of a child that has failed over it
            file.parent.rmdir()  # unless there are others

    def drop_unfinished(self) -> None:
        """Delete what killed workers, and whoever was killed holding the lock, left half-written."""
        for left in ("checkpoints/*/*.partial", "predictions/*.partial", ".*.tmp", "top/.*.tmp", "plots/.*.tmp"):
            for file in self.folder.glob(left):
                file.unlink(missing_ok=True)

    def predictions(self, trial: str) -> Path:
        """The file of a trial's validation logits at its best epoch, written by its worker."""
        return self.all_predictions / f"{trial}.npz"

    def test_predictions(self, trial: str) -> Path:
        """The file of a trial's logits on test, written where it was scored there."""
        return self.all_predictions / f"{trial}.test.npz"

    @property
    def all_predictions(self) -> Path:
        """The folder of trials' predictions."""
        return self.folder / "predictions"

    def fetch(self, path: Path) -> Path:
        """One of its files or folders that workers and others write, brought here as it is now."""
        self.home.pull(path)
        return path

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
        self.home.refresh()
        self.warnings = []
        yield from read_log(self.events_jsonl, self.warnings)

    def notes(self) -> Iterator[Event]:
        """People's remarks in order, as `note` events; they have a log of their own."""
        self.home.refresh()
        if self.notes_jsonl.exists():
            yield from (event for event in read_log(self.notes_jsonl, self.warnings) if event.get("kind") == "note")

    def record(self) -> SearchRecord:
        """The search as its log tells it; one that is said to run though no process holds it was ended from outside."""
        return self.as_it_is(replay(chain(self.events(), self.notes())))

    def as_it_is(self, told: SearchRecord) -> SearchRecord:
        """A search as its log tells it, with its links, and stopped where nothing runs it any more."""
        found = self.linked(told)
        if found.status == "running" and not self.held():
            return replace(found, status="stopped", reason=marked("its process is gone"))
        return found

    def linked(self, search: SearchRecord) -> SearchRecord:
        """The search with the links that its trackers have noted so far."""
        return replace(search, links=read_links(self.folder))

    def held(self) -> bool:
        """Whether a process is running this search."""
        return self.home.holder() is not None

    def holder(self) -> str:
        """The process that runs this search, such as `process 123 on box`; empty: none does."""
        return self.home.holder() or ""

    def append(self, kind: str, trial: str | None = None, **fields: Any) -> Event:
        """Write one event, durably, and return it as it will be read.

        Before it is on disk nothing follows from it: after a power cut no checkpoint is more than an epoch ahead of it.

        Outside `lock` the lock is held for this one event. NaN and infinities are stored as null.

        Raises:
            UserError: another process is writing to this search.
        """
        with self._appending, self.lock():
            assert self._log is not None
            head = {"kind": kind} | ({"trial": trial} if trial is not None else {})
            event = self._log.write(head, fields, durable=True)
        for listener in self.listeners:
            listener(event)
        for text in self.home.remarks():
            self.append("note", text=text)
        return event

    def note(self, text: str, trial: str | None = None) -> Event:
        """Write a person's remark, durably, and return it as it will be read; also while another process has the lock.

        Raises:
            OSError: the folder cannot be written to.
        """
        return self.home.note({"kind": "note"} | ({"trial": trial} if trial else {}), {"text": text})

    @contextmanager
    def lock(self, work: str = "") -> Iterator[None]:
        """Be this search's only writer; may be entered again by the store that holds it.

        A process that is killed does not keep it. Entering cuts off a line that an earlier writer left half-written.

        Args:
            work: as `Home.hold`

        Raises:
            UserError: another process holds it; names its id and host.
        """
        if self._log is not None:
            yield
            return
        with self.home.hold(work) as self._log:
            try:
                yield
            finally:
                self._log = None


def _taken(results: Place, name: str) -> UserError:
    return UserError(f"search {name!r} exists in {results}: nothing is overwritten; choose another name with --name")


def list_searches(results: Place) -> list[Store]:
    """The searches in a results folder, by name; none when there is no such folder."""
    stores = [Store(place) for place in searches_in(results)]
    for store in stores:
        store.home.refresh()
    return stores


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
