"""What a search tells, from its log, whoever runs it and wherever."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tuner.store import Event, Store


def told(store: Store, *, follow: bool) -> Iterator[Event]:
    """A search's events, those of earlier runs too; `follow` waits for more for as long as a process runs it."""
    seen = 0
    while True:
        runs = follow and store.held()  # asked first: what a process wrote last is read after it has gone
        events = list(store.events())
        yield from events[seen:]
        seen = len(events)
        if not runs:
            return
        time.sleep(store.home.look_seconds)
