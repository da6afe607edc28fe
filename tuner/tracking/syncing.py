"""Showing later what trackers could not be shown while a search ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainable.errors import UnreachableTrackerError, UserError
from tuner.links import FOLDER, read_cursor
from tuner.store import Store
from tuner.tolerant import integer
from tuner.tracking.cursor import Cursor
from tuner.tracking.following import TrackerProcess
from tuner.tracking.protocol import TrackerKind
from tuner.tracking.trackers import TRACKERS

STALL_SECONDS = 120.0
"""without anything new being shown, after which a tracker is given up"""


def sync_search(store: Store, kinds: Iterable[TrackerKind]) -> None:
    """Have these trackers show all that a search has told; what they show already is left alone. The lock is held.

    Raises:
        UserError: not all could be shown.
        UnreachableTrackerError: what a tracker sends to does not answer.
    """
    for kind in kinds:
        process = TrackerProcess(kind, is_demanded=True)
        try:
            _sync(store, process)
        finally:
            process.kill()


def waiting(store: Store) -> Iterator[str]:
    """What trackers have not shown of a search that has ended, a line each."""
    last = max((integer(event.get("seq")) or 0 for event in store.events()), default=0)
    for kind in TRACKERS.values():
        if not read_cursor(store.folder / FOLDER / f"{kind.name}.json"):
            continue
        cursor = Cursor(store.folder, kind.name)
        if cursor.seq < last:
            yield f"{kind.shown}: {last - cursor.seq} events wait; `tuner sync {store.name}` sends them"
        elif not cursor.is_finished:
            yield f"{kind.shown}: files wait; `tuner sync {store.name}` sends them"


def _sync(store: Store, process: TrackerProcess) -> None:
    kind, answer = process.kind, process.answer()
    if not answer.reachable:
        raise UnreachableTrackerError(f"{kind.shown} cannot be reached: {answer.told}; what waits is kept")
    process.follow(store.place)
    process.finish()
    seen = -1
    while not process.wait(STALL_SECONDS):
        cursor = Cursor(store.folder, kind.name)
        if cursor.seq == seen:
            break
        seen = cursor.seq
    if not Cursor(store.folder, kind.name).is_finished:
        log = store.shown(store.folder / FOLDER / f"{kind.name}.log")
        raise UserError(f"{kind.shown} could not be shown everything, what is left waits: {log} says why")
