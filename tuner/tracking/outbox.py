"""A search's log as the outbox of its trackers: what of it is still to be shown, in batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tuner.log import Event, event_of
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.replay import Replay
from tuner.tolerant import integer
from tuner.tracking.protocol import News

BATCH_EVENTS = 500
"""at most in a batch, so that of a long outage not all is sent again when something goes wrong"""


@dataclass(frozen=True)
class Batch:
    """The search after some more events, and what these were about."""

    search: SearchRecord
    news: News
    seq: int
    """number of the last event"""


class Outbox:
    """Follows a growing log from a file, and hands out what comes after an event."""

    def __init__(self, log: Path, shown_up_to: int) -> None:
        self._log = log
        self._shown = shown_up_to
        """number of the last event that needs no showing"""
        self._taken: Batch | None = None
        self._begin()

    def take(self, at_most: int = BATCH_EVENTS) -> Batch | None:
        """What is to be shown next, with all trials so far the first time; None: nothing for now.

        The same comes again until `shown` is told of it.
        """
        if self._taken is None:
            self._taken = self._next(at_most)
        return self._taken

    def shown(self) -> None:
        """Take in that what was taken is shown."""
        if self._taken is not None:
            self._shown, self._taken = self._taken.seq, None

    @property
    def search(self) -> SearchRecord:
        """The search as far as it was read."""
        return self._replay.record()

    def _begin(self) -> None:
        self._replay = Replay()
        self._offset = 0
        self._is_first = True

    def _next(self, at_most: int) -> Batch | None:
        if self._log.stat().st_size < self._offset:  # cut back: an event that a full disk took back
            self._begin()
        events = self._read(at_most)
        is_first, self._is_first = self._is_first, not self._offset
        if not events and not (is_first and self._offset):
            return None
        search = self._replay.record()
        trials = {trial.id: trial for trial in (*search.trials, *search.reruns)}
        about = {event.get("trial") for event in events}
        news = {id: _told(events, trials[id]) for id in trials if is_first or id in about}
        return Batch(search, News(None in about, news), events[-1]["seq"] if events else self._shown)

    def _read(self, at_most: int) -> list[Event]:
        """The next events, those left out that need no showing."""
        events: list[Event] = []
        with self._log.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if len(events) == at_most or not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                event = event_of(line) or {}
                self._replay.add(event)
                if (integer(event.get("seq")) or 0) > self._shown:
                    events.append(event)
        return events


def _told(events: Iterable[Event], trial: TrialRecord) -> tuple[EpochRecord, ...]:
    """The epochs that events tell of; none that was taken back since."""
    told = {event.get("epoch") for event in events if event.get("trial") == trial.id and event.get("kind") == "epoch"}
    return tuple(epoch for epoch in trial.epochs if epoch.epoch in told)
