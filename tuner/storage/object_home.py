"""A search whose home is an object store; its folder lies in this machine's cache and may be deleted at any time."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from trainable.data.cache import cache_folder
from tuner.log import Event, OpenLog, line_of
from tuner.storage.copies import MARKS, Copies
from tuner.storage.file_lock import locked, locker
from tuner.storage.home import CONTROL, EVENTS_LOG, NOTES_LOG, WritableLog, being_run
from tuner.storage.lease import STALE_SECONDS, Lease, holder_of
from tuner.storage.mirror import Mirror
from tuner.storage.objects import Objects, StorageError, open_objects
from tuner.storage.place import Place, split_place
from tuner.storage.segments import BEGINNING, SegmentedLog, merge, pull_log

PATIENCE_SECONDS = 120.0
"""for which a search waits for a store that does not answer"""
REFRESHED = (
    "search.yaml",
    "splits.csv",
    "splits",
    "plugins",
    "tracking",
    "best.yaml",
    "top",
    "leaderboard.md",
    "leaderboard.csv",
    "conclusions.md",
)
"""what `refresh` brings: files and folders that commands read beside the log"""
NOT_PUBLISHED = (EVENTS_LOG, NOTES_LOG, "lock", CONTROL, "ray", "checkpoints", "predictions", "journal.md")
"""what is brought home otherwise, or is this machine's own"""
_COME_AND_GO = ("top", "plots")
"""folders of which files are dropped at home as well; others that are missing here were cleaned away"""
_WRITTEN_ALL_THE_TIME = "study.db"
_NOTES = "notes"


def local_folder(url: str) -> Path:
    """Where this machine keeps copies of what is under a results URL."""
    return cache_folder() / "results" / hashlib.sha256(url.encode()).hexdigest()[:16]


class ObjectHome:
    """Objects under a URL: segments of the log and the notes, a numbered lock, and all files of the search.

    Workers have a folder of their own, so that each file here has one writer.
    """

    look_seconds = 2.0

    def __init__(self, url: str, *, of_workers: bool = False) -> None:
        results, name = split_place(url)
        self.place: Place = url
        self.folder = local_folder(str(results)) / (f".{name}.workers" if of_workers else name)
        self._objects = open_objects(url)
        self._patient = replace(self._objects, patience_seconds=PATIENCE_SECONDS)
        self._copies = Copies(self.folder, self._patient)
        self._mirror: Mirror | None = None
        self._settled = False

    def claim(self) -> None:
        mine = uuid.uuid4().hex.encode()
        self._objects.reach()
        if not self._objects.create(BEGINNING.name, mine):
            raise FileExistsError(self.place)
        if self._objects.create(BEGINNING.name, mine[::-1]):
            raise StorageError(
                f"{self.place}: this store writes over what it is asked to create only if it is absent, so a lock on "
                "it would not hold; give another place with --results"
            )

    def exists(self) -> bool:
        return self._objects.has(BEGINNING.name)

    def refresh(self) -> None:
        with self._alone():
            if locker(self.folder) is None:
                self._bring_up_to_date()
                return
            with suppress(StorageError):  # a search goes on without them
                self._pull_notes(self._objects, self._objects.listed(_NOTES))

    @contextmanager
    def hold(self, work: str = "") -> Iterator[WritableLog]:
        with ExitStack() as held:
            with self._alone():
                held.enter_context(locked(self.folder, work))
            lease = Lease(self._patient, work)
            if holder := lease.take():
                heard = f"{holder.process} (heard of {max(0, round(holder.silent_seconds))} s ago"
                raise being_run(self.folder.name, f"{heard}; a lock lapses after {STALE_SECONDS:g} s)")
            held.callback(lease.give_back)
            self._bring_up_to_date()
            merge(self._patient)
            log = held.enter_context(closing(SegmentedLog(self.folder / EVENTS_LOG, self._patient, lease.require)))
            with Mirror(lease.require, self._publish, log.merge_if_long) as self._mirror:
                try:
                    yield log
                except BaseException:
                    with suppress(OSError):
                        lease.require()
                        self._publish(self._objects, at_the_end=True)
                    raise
            lease.require()
            self._finish()

    def holder(self) -> str | None:
        if here := locker(self.folder):
            return here
        holder = holder_of(self._objects)
        return holder.process if holder and holder.is_alive else None

    def note(self, head: Event, fields: Event) -> Event:
        with self._alone():
            self._pull_notes(self._objects, self._objects.listed(_NOTES))
            with closing(OpenLog(self.folder / NOTES_LOG)) as log:
                event = log.write(head, fields, durable=False)
            self._notes_mark.unlink(missing_ok=True)
            self._objects.put(f"{_NOTES}/{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}", line_of(event))
            return event

    def remarks(self) -> list[str]:
        return self._mirror.remarks() if self._mirror else []

    def paths(self, folder: Path) -> list[Path]:
        (below,) = self._names([folder])
        return [self.folder / name for name in self._patient.listed(below)]

    def pull(self, *paths: Path) -> None:
        with self._alone():
            self._settle()
        names = self._names(paths)
        found = {name: there for one in names for name, there in self._patient.listed(one).items()}
        self._copies.pull(names, found)

    def push(self, *paths: Path) -> None:
        self._copies.push(_files(self.folder, paths))

    def let_go(self, *paths: Path) -> None:
        for name in list(_files(self.folder, paths)):
            if self._copies.pushed(name):
                self._copies.drop(name)

    def remove(self, *paths: Path) -> None:
        self._copies.remove(self._names(paths))

    def request(self, name: str) -> None:
        self._objects.put(f"{CONTROL}/{name}", b"")

    def requests(self) -> frozenset[str]:
        try:
            return frozenset(name.removeprefix(f"{CONTROL}/") for name in self._objects.listed(CONTROL))
        except StorageError:
            return frozenset()

    def withdraw(self, names: Iterable[str] | None = None) -> None:
        asked = self._objects.listed(CONTROL) if names is None else [f"{CONTROL}/{name}" for name in names]
        self._objects.remove(asked)

    @property
    def _notes_mark(self) -> Path:
        return self.folder / MARKS / "notes.json"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only process of this machine that brings the folder up to date."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_name(f".{self.folder.name}.lock")):
            yield

    def _bring_up_to_date(self) -> None:
        self._settle()
        found = self._patient.listed()
        pull_log(self._patient, self.folder / EVENTS_LOG, self.folder / MARKS / "events.json", found)
        self._copies.pull(REFRESHED, found)
        self._pull_notes(self._patient, found)

    def _settle(self) -> None:
        """Find out that the folder is of the search that is there now, not of one before it of the same name."""
        if self._settled:
            return
        try:
            now = self._patient.get(BEGINNING.name)
        except FileNotFoundError:
            return
        known = self.folder / MARKS / "search"
        if not known.exists() or known.read_bytes() != now:
            for entry in self.folder.iterdir() if self.folder.exists() else ():
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                elif entry.name != "lock":
                    entry.unlink(missing_ok=True)
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_bytes(now)
        self._settled = True

    def _pull_notes(self, objects: Objects, found: Iterable[str]) -> None:
        names = sorted(name for name in found if name.startswith(f"{_NOTES}/"))
        with suppress(OSError, ValueError):
            if json.loads(self._notes_mark.read_text(encoding="utf-8")) == names:
                return
        lines = b"".join(objects.get_all(names))
        if lines or (self.folder / NOTES_LOG).exists():
            (self.folder / NOTES_LOG).write_bytes(lines)
        self._notes_mark.parent.mkdir(exist_ok=True)
        self._notes_mark.write_text(json.dumps(names), encoding="utf-8")

    def _publish(self, objects: Objects | None = None, *, at_the_end: bool = False) -> None:
        """Bring home every file that has changed, and drop there what was dropped here."""
        copies = Copies(self.folder, objects or self._patient)
        published = [path for path in self.folder.iterdir() if _is_published(path.name, at_the_end)]
        copies.push(_files(self.folder, published))
        copies.remove(
            name
            for name in list(copies.marked())
            if name.partition("/")[0] in _COME_AND_GO and not (self.folder / name).exists()
        )

    def _finish(self) -> None:
        """Bring home what is left, by the writer that is about to leave."""
        try:
            self._publish(at_the_end=True)
            merge(self._patient)
        except StorageError as error:
            raise StorageError(
                f"{error}; the log is there, and the other files are in {self.folder} until the next change brings them"
            ) from None

    def _names(self, paths: Iterable[Path]) -> list[str]:
        return [path.relative_to(self.folder).as_posix() if path != self.folder else "" for path in paths]


def _is_published(name: str, at_the_end: bool) -> bool:
    """Whether a file or folder of the search's folder is brought home by `publish`."""
    if name.startswith(_WRITTEN_ALL_THE_TIME):
        return at_the_end and name == _WRITTEN_ALL_THE_TIME
    return name not in NOT_PUBLISHED and not name.startswith(".")


def _files(folder: Path, paths: Iterable[Path]) -> Iterator[str]:
    """The names of files, and of those in folders, that are not just being written."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = file.relative_to(folder)
            is_unfinished = name.suffix == ".partial" or any(part.startswith(".") for part in name.parts)
            if file.is_file() and not is_unfinished:
                yield name.as_posix()
