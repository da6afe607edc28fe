"""A log as immutable numbered objects: a segment holds whole lines, and is there whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tuner.log import Event, OpenLog, line_of
from tuner.storage.objects import Objects, StorageError

EVENTS = "events"
"""folder of the event log's segments"""
MERGED_FROM = 32
"""segments are put together where there are so many, since a reader asks for each"""
PULL_TRIES = 10
MERGED_WHILE_WRITTEN = 512
_NAME = re.compile(r"events/(\d+)-(\d+)\.jsonl")


@dataclass(frozen=True, order=True)
class Segment:
    """The events from one number to another, both among them."""

    first: int
    last: int

    @property
    def name(self) -> str:
        return f"{EVENTS}/{self.first:08}-{self.last:08}.jsonl"


BEGINNING = Segment(0, 0)
"""holds no event: whose object it is has the search's name"""


def segments_of(names: Iterable[str]) -> list[Segment]:
    """The fewest segments that hold all events there are, in order.

    Where segments were merged and the merged ones are still there, the longer one is taken.
    """
    found = [Segment(*map(int, match.groups())) for name in names if (match := _NAME.fullmatch(name))]
    chosen: list[Segment] = []
    for segment in sorted(found, key=lambda one: (one.first, -one.last)):
        if segment.last > (chosen[-1].last if chosen else BEGINNING.last):
            chosen.append(segment)
    return chosen


def pull_log(objects: Objects, log: Path, mark: Path, found: Iterable[str]) -> None:
    """Have a local file hold all events there are; only those are asked for that it lacks.

    Args:
        found: the names of all objects there are
        log: the file
        mark: a file that says up to which event, and to which byte, `log` is known to be the same
    """
    for _ in range(PULL_TRIES):
        segments = segments_of(found)
        last, size = _marked(log, mark)
        if last not in (BEGINNING.last, *(segment.last for segment in segments)):
            last, size = BEGINNING.last, 0  # merged with what came later: all anew
        missing = [segment for segment in segments if segment.last > last]
        try:
            contents = objects.get_all(segment.name for segment in missing)
        except FileNotFoundError:  # merged since they were listed
            found = objects.listed(EVENTS)
            continue
        break
    else:
        raise StorageError(f"{objects.url}: its log changes faster than it can be read; try again")
    with log.open("ab") as file:
        file.truncate(size)
        file.write(b"".join(contents))
        size = file.tell()
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(json.dumps({"last": segments[-1].last if segments else BEGINNING.last, "bytes": size}))


def _marked(log: Path, mark: Path) -> tuple[int, int]:
    try:
        told = json.loads(mark.read_text(encoding="utf-8"))
        last, size = int(told["last"]), int(told["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return BEGINNING.last, 0
    return (last, size) if log.exists() and log.stat().st_size >= size else (BEGINNING.last, 0)


def merge(objects: Objects, least: int = MERGED_FROM) -> None:
    """Put a log's segments together into one; a reader finds all events at any moment, and after a crash."""
    names = objects.listed(EVENTS)
    segments = segments_of(names)
    if len(segments) < least:
        return
    merged = Segment(segments[0].first, segments[-1].last)
    objects.put(merged.name, b"".join(objects.get_all(segment.name for segment in segments)))
    objects.remove(name for name in names if name not in (merged.name, BEGINNING.name))


class LogEndedError(StorageError):
    """The log cannot be written any more by this process: its search has paused."""


class SegmentedLog:
    """The growing end of a log whose truth is objects: an event is one before `write` returns.

    What could not be written ends it: whether the store has the event after all is found out by who opens the log next.
    """

    def __init__(self, path: Path, objects: Objects, require_lease: Callable[[], None]) -> None:
        self._require_lease = require_lease
        self._objects = objects
        self._log = OpenLog(path)
        self._broken: LogEndedError | None = None
        self.segments = 0
        """written and not merged"""

    def write(self, head: Event, fields: Event, durable: bool) -> Event:  # noqa: ARG002  (all are)
        """Append one event and return it.

        Raises:
            LogEndedError: it cannot be written, or an earlier one could not.
            LostLeaseError: another process has taken over.
        """
        if self._broken:
            raise self._broken
        self._require_lease()
        event = self._log.write(head, fields, durable=False)
        segment = Segment(event["seq"], event["seq"])
        try:
            written = self._objects.create(segment.name, line_of(event))
        except (StorageError, FileNotFoundError) as error:
            reason = error.strerror if isinstance(error, StorageError) else f"{self._objects.url}: is gone"
            self._broken = LogEndedError(f"{reason}; the log cannot be written, so the search has paused")
            raise self._broken from None
        if not written:
            self._broken = LogEndedError(f"{self._objects.url}: another process has written event {segment.first}")
            raise self._broken
        self.segments += 1
        return event

    def merge_if_long(self) -> None:
        """Put segments together while others are written; from any thread."""
        if self.segments >= MERGED_WHILE_WRITTEN:
            self.segments = 0
            merge(self._objects)

    def close(self) -> None:
        self._log.close()
