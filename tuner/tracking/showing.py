"""Showing a search by one tracker, from its log, for as long as it goes on."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import replace

from tuner.interruption import request_abort
from tuner.records import SearchRecord
from tuner.storage.home import runs_search
from tuner.store import Store
from tuner.tracking.cursor import Cursor
from tuner.tracking.outbox import Outbox
from tuner.tracking.protocol import News, Tracker, TrackerKind, UnreachableError

LOOK_SECONDS = 1.0
"""between two looks at the log"""
ABORT_SECONDS = 30.0
"""between two looks for what people have aborted"""
RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
"""that it waits after so many failures in a row"""
SHARE_OF_TIME = 0.1
"""the most of its time that it spends on reading and showing: the larger a search, the longer each takes"""


class Showing:
    """One tracker at work on one search, until it is told that this ends."""

    def __init__(self, store: Store, kind: TrackerKind, ending: threading.Event) -> None:
        self._store = store
        self._kind = kind
        self._ending = ending
        self._cursor = Cursor(store.folder, kind.name)
        self._cursor.save()  # so that others know what waits
        self._outbox = Outbox(store.events_jsonl, self._cursor.seq)
        self._tracker: Tracker | None = None
        self._look_for_aborts = time.monotonic() + ABORT_SECONDS

    def run(self) -> bool:
        """Show what the log tells until the end, and the files after it. Returns whether all of that is shown."""
        failures = 0
        while True:
            is_last = self._ending.is_set()  # asked first: what was written last is read after it
            began = time.monotonic()
            if self._does(is_last):
                failures, rest = 0, max(LOOK_SECONDS, (time.monotonic() - began) * (1 / SHARE_OF_TIME - 1))
            else:
                failures, rest = failures + 1, RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
            if is_last:
                self._close()
                return failures == 0
            self._ending.wait(rest)

    def _does(self, is_last: bool) -> bool:
        """One round of everything; False: something could not be shown, and is told in the log of this process."""
        try:
            self._catch_up()
            if is_last:
                self._finish()
            elif time.monotonic() >= self._look_for_aborts:
                self._heed_aborts()
                self._look_for_aborts = time.monotonic() + ABORT_SECONDS
        except UnreachableError as error:
            print(f"{self._kind.shown}: {error}", flush=True)
            self._cursor.save()  # of what it remembers some may have changed
            return False
        except Exception:  # a search is never disturbed, and what waits may be sent by another version
            traceback.print_exc()
            self._close()
            return False
        return True

    def _opened(self) -> Tracker:
        if self._tracker is None:
            self._tracker = self._kind.open(self._store, self._cursor)
        return self._tracker

    def _catch_up(self) -> None:
        while batch := self._outbox.take():
            self._opened().show(batch.search, batch.news)
            self._outbox.shown()
            self._cursor.seq = batch.seq
            self._cursor.is_finished = False
            self._cursor.save()

    def _finish(self) -> None:
        search = self._outbox.search
        if search.status == "running" and not runs_search(self._store.holder()):
            search = replace(search, status="stopped", reason="its process is gone")
            self._opened().show(search, _everything(search))
        self._opened().finish(search)
        self._cursor.is_finished = True
        self._cursor.save()

    def _heed_aborts(self) -> None:
        aborted = self._opened().aborted()
        if aborted.search:
            request_abort(self._store)
        for trial in aborted.trials:
            request_abort(self._store, trial)

    def _close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()
            self._tracker = None


def _everything(search: SearchRecord) -> News:
    return News(True, {trial.id: () for trial in (*search.trials, *search.reruns)})
