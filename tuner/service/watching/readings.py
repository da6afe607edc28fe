"""What all searches tell; of as many as memory allows, the latest that were asked for."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tuner.service.watching.reading import Progress, Reading
from tuner.storage.place import Place, as_place, beneath
from tuner.store import Store

EVENTS_HELD = 50_000
"""of all readings together, about 200 MB; the one that is asked for is held in any case"""


_Stamp = tuple[int, int, int, int]
"""inode, size and time of a log and the size of its notes: what changes when something is told"""


@dataclass(frozen=True)
class Summary:
    """What a list shows of a search."""

    facts: dict[str, object]
    """as `tuner ls --json` has them"""
    progress: Progress
    trials: Mapping[str, int]
    """how many are of each status"""


class Readings:
    """Searches by name, in one results folder; from any thread."""

    def __init__(self, results: Place, events_held: int = EVENTS_HELD) -> None:
        self._results = as_place(results)
        self._events_held = events_held
        self._readings: OrderedDict[str, Reading] = OrderedDict()
        self._summaries: dict[str, tuple[_Stamp, Summary]] = {}
        self._lock = threading.Lock()

    def store(self, name: str) -> Store:
        """Where a search of this name is, or will be."""
        return Store(beneath(self._results, name))

    def get(self, name: str) -> Reading | None:
        """A search's reading; None where it has not begun to tell of itself."""
        with self._lock:
            reading = self._readings.get(name)
            if reading is None:
                reading = self._readings[name] = Reading(beneath(self._results, name))
            self._readings.move_to_end(name)
        if not reading.exists():
            self.forget([name])
            return None
        reading.last_seq()
        self._drop_old(name)
        return reading

    def summary(self, name: str) -> Summary | None:
        """A search in short; found without reading its log again where nothing has happened."""
        stamp = self._stamp(name)
        with self._lock:
            known = self._summaries.get(name)
        if stamp and known and known[0] == stamp:
            return self._as_it_is(name, known[1])
        reading = self.get(name)
        if reading is None:
            return None
        counts = Counter(trial.status for trial in reading.record().trials)
        found = Summary(reading.facts(), reading.progress(), counts)
        if stamp:
            with self._lock:
                self._summaries[name] = stamp, found
        return found

    def forget(self, names: Iterable[str]) -> None:
        """Let go of searches that are deleted."""
        with self._lock:
            for name in names:
                self._readings.pop(name, None)
                self._summaries.pop(name, None)

    def _as_it_is(self, name: str, known: Summary) -> Summary:
        if known.facts["status"] != "running" or self.store(name).held():
            return known
        gone = {**known.facts, "status": "stopped", "reason": "its process is gone"}
        return replace(known, facts=gone, progress=replace(known.progress, seconds_left=None))

    def _stamp(self, name: str) -> _Stamp | None:
        """Of a log on this machine; None for others, and where there is none."""
        store = self.store(name)
        if isinstance(store.place, str):
            return None
        try:
            log = store.events_jsonl.stat()
        except OSError:
            return None
        try:
            notes = store.notes_jsonl.stat().st_size
        except OSError:
            notes = 0
        return log.st_ino, log.st_size, log.st_mtime_ns, notes

    def _drop_old(self, kept: str) -> None:
        with self._lock:
            held = sum(reading.size for reading in self._readings.values())
            for name in list(self._readings):
                if held <= self._events_held:
                    return
                if name != kept:
                    held -= self._readings.pop(name).size
