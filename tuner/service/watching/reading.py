"""What one search tells, followed as its log grows: each line is parsed once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from tuner.evidence.gathering import Evidence, Gatherer
from tuner.log import Event, event_of
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.replay import Replay
from tuner.report.leaderboard import to_csv, to_json, to_markdown
from tuner.report.shown import search_facts, trial_facts
from tuner.spending import Elapsed, seconds_left
from tuner.storage.place import Place
from tuner.store import Store
from tuner.tolerant import integer, text

TableFormat = Literal["md", "csv", "json"]

EVENTS_AT_ONCE = 500
"""the most that are handed out together, so that a long log is not all in memory"""
_WITHOUT_EVIDENCE = ("trial_started", "epoch")
"""kinds of events of trials that have no rank yet: what predictions support stays as it is"""
_INDEX_EVERY = 64
"""events between two places of the log that are remembered"""
_RECENT = 256
"""events that need not be read again"""


@dataclass(frozen=True)
class Told:
    """An event as its log has it."""

    seq: int
    kind: str
    line: str
    """JSON, without the end of the line"""
    trial: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a search has come."""

    ended: int
    """trials that do not run any more"""
    budget: int | None
    running: int
    metric: str
    best: str | None
    best_value: float | None
    elapsed_seconds: float
    """of all its runs, up to the last event"""
    seconds_left: float | None
    """by its pace so far; None where that cannot be said"""


@dataclass
class _SoFar:
    """What has been read of a log."""

    replay: Replay = field(default_factory=Replay)
    elapsed: Elapsed = field(default_factory=Elapsed)
    record: SearchRecord | None = None
    """None: it is to be made anew"""
    evidence: tuple[int, Evidence] | None = None
    """with the number of the last event that it may follow from"""
    inode: int = 0
    offset: int = 0
    notes_offset: int = 0
    lines: int = 0
    seq: int = 0
    """of the last event"""
    seq_of_evidence: int = 0
    """likewise, that evidence may follow from"""
    recent: deque[Told] = field(default_factory=lambda: deque(maxlen=_RECENT))
    index: list[tuple[int, int]] = field(default_factory=list)
    """a number, and where the event after it begins in the log"""

    def take(self, line: bytes, end: int) -> None:
        """Take in the next line, which ends there in the log."""
        event = event_of(line) or {}
        self.replay.add(event)
        self.elapsed.add(event)
        if told := _told(line, event):
            self.seq = told.seq
            self.recent.append(told)
        if event.get("kind") not in _WITHOUT_EVIDENCE:
            self.seq_of_evidence = self.seq
        if self.lines % _INDEX_EVERY == 0:
            self.index.append((self.seq, end))
        self.offset, self.lines, self.record = end, self.lines + 1, None

    def take_note(self, line: bytes, end: int) -> None:
        """Take in the next line of the notes."""
        event = event_of(line) or {}
        if event.get("kind") == "note":
            self.replay.add(event)
        self.notes_offset, self.record = end, None


class Reading:
    """A search's record and events, brought up to date when they are asked for; from any thread."""

    def __init__(self, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = Store(place)
        self._gatherer = Gatherer(self._store)
        self._clock = clock
        self._lock = threading.RLock()
        self._gathering = threading.Lock()
        """its own, since resampling may take seconds, and events are not to wait for it"""
        self._looked_at = -float("inf")
        self._so_far = _SoFar()

    @property
    def store(self) -> Store:
        return self._store

    @property
    def size(self) -> int:
        """How many events are held, by which the memory that it takes goes."""
        return self._so_far.lines

    def exists(self) -> bool:
        """Whether the search has begun to tell of itself."""
        with self._lock:
            self._refresh()
            return self._store.events_jsonl.is_file()

    def record(self) -> SearchRecord:
        """The search as it is now."""
        with self._lock:
            self._catch_up()
            if self._so_far.record is None:
                self._so_far.record = self._so_far.replay.record()
            return self._store.as_it_is(self._so_far.record)

    def last_seq(self) -> int:
        """The number of the latest event; 0: there is none."""
        with self._lock:
            self._catch_up()
            return self._so_far.seq

    def events(self, after: int = 0, at_most: int = EVENTS_AT_ONCE) -> list[Told]:
        """The events of higher numbers, in order."""
        with self._lock:
            self._catch_up()
            if after >= self._so_far.seq:
                return []
            if self._so_far.recent and self._so_far.recent[0].seq <= after + 1:
                return [told for told in self._so_far.recent if told.seq > after][:at_most]
            start = max((offset for seq, offset in self._so_far.index if seq <= after), default=0)
            lines = _whole_lines(self._store.events_jsonl, start)
            tellings = (_told(line, event_of(line) or {}) for line, end in lines if end <= self._so_far.offset)
            return list(islice((told for told in tellings if told and told.seq > after), at_most))

    def progress(self) -> Progress:
        """Counts, best so far and how long it may still take."""
        with self._lock:
            record = self.record()
            elapsed = self._so_far.elapsed.seconds
        running = sum(trial.status == "running" for trial in record.trials)
        best = record.best
        return Progress(
            ended=len(record.trials) - running,
            budget=record.budget,
            running=running,
            metric=record.metric,
            best=best.id if best else None,
            best_value=best.best_value if best else None,
            elapsed_seconds=elapsed,
            seconds_left=seconds_left(record, elapsed) if record.status == "running" else None,
        )

    def facts(self) -> dict[str, object]:
        """As `tuner show NAME --json` has them."""
        return search_facts(self.record())

    def trial(self, id: str) -> TrialRecord | None:
        """A trial or rerun; None: there is none of this name."""
        record = self.record()
        return next((trial for trial in (*record.trials, *record.reruns) if trial.id == id), None)

    def trial_facts(self, id: str) -> dict[str, object]:
        """As `tuner show NAME TRIAL --json` has them. Raises UserError where there is no such trial."""
        record, evidence = self._with_evidence()
        return trial_facts(record, id, evidence)

    def curve(self, id: str) -> tuple[EpochRecord, ...]:
        """A trial's evaluations so far; none of one that there is not."""
        trial = self.trial(id)
        return trial.epochs if trial else ()

    def evidence(self) -> Evidence:
        """What predictions support, as far as the search has come."""
        return self._with_evidence()[1]

    def leaderboard(self, format: TableFormat, top: int | None = None) -> str:
        """As `tuner leaderboard` prints it, to the byte."""
        record, evidence = self._with_evidence()
        if format == "md":
            return to_markdown(record, evidence, top, conclusions=self._store.conclusions())
        return (to_csv if format == "csv" else to_json)(record, evidence, top)

    def _with_evidence(self) -> tuple[SearchRecord, Evidence]:
        with self._gathering:
            with self._lock:
                record, so_far = self.record(), self._so_far
                seq = so_far.seq_of_evidence
            if so_far.evidence is None or so_far.evidence[0] != seq:
                so_far.evidence = seq, self._gatherer.evidence(record)
            return record, so_far.evidence[1]

    def _refresh(self) -> None:
        """Have what other machines wrote, as often as a search looks for requests."""
        if isinstance(self._store.place, Path):
            return
        now = self._clock()
        if now - self._looked_at >= self._store.home.look_seconds:
            self._looked_at = now
            self._store.home.refresh()

    def _catch_up(self) -> None:
        self._refresh()
        try:
            found = self._store.events_jsonl.stat()
        except OSError:
            return
        # another search, or an event that a full disk took back
        if found.st_ino != self._so_far.inode or found.st_size < self._so_far.offset:
            self._so_far = _SoFar(inode=found.st_ino)
        self._take_new()

    def _take_new(self) -> None:
        so_far = self._so_far
        for line, end in _whole_lines(self._store.events_jsonl, so_far.offset):
            so_far.take(line, end)
        with suppress(OSError):  # nobody has written a note
            for line, end in _whole_lines(self._store.notes_jsonl, so_far.notes_offset):
                so_far.take_note(line, end)


def _whole_lines(log: Path, start: int) -> Iterator[tuple[bytes, int]]:
    """Each line from a place on, and where it ends; without one that is half-written."""
    with log.open("rb") as lines:
        lines.seek(start)
        for line in lines:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            yield line, start


def _told(line: bytes, event: Event) -> Told | None:
    """None: it has no number, as what is no event."""
    seq = integer(event.get("seq"))
    if seq is None:
        return None
    kind, trial = text(event.get("kind")), text(event.get("trial"))
    return Told(seq, kind if kind.isidentifier() else "", line[:-1].decode("utf-8", "replace"), trial or None)
