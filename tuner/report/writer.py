"""Tables and YAML files while a search runs, written beside it: its loop never waits for them."""

from __future__ import annotations

import threading
import time

from tuner.evidence.gathering import Gatherer
from tuner.replay import Replay
from tuner.report.best import write_outputs
from tuner.report.page.writing import write_page
from tuner.store import Event, Store

CHANGING = ("trial_ended", "test_scored", "search_ended")
"""kinds of events after which tables are written anew"""
SHARE_OF_TIME = 0.1
"""the most that writing may take of the thread's time: resampling costs more the longer a table gets"""
LEAST_REST_SECONDS = 1.0


class OutputWriter:
    """Follows a search's log from a thread of its own; `close` leaves all files up to date.

    A file that cannot be written (a full disk) is tried again after later events, and lastly on `close`.
    """

    def __init__(self, store: Store, top_k: int, gatherer: Gatherer) -> None:
        self._store = store
        self._top_k = top_k
        self._gatherer = gatherer
        self._so_far = Replay()
        self._adding = threading.Lock()
        self._stale = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="output-writer", daemon=True)

    def start(self) -> None:
        """Begin to write what is and will be put."""
        self._thread.start()

    def put(self, event: Event) -> None:
        """Hand over the log's next event; returns at once."""
        with self._adding:
            self._so_far.add(event)
        if event["kind"] in CHANGING:
            self._stale.set()

    def close(self) -> None:
        """End the thread; what it has not written is written now.

        Raises:
            OSError: a file cannot be written.
        """
        self._closing.set()
        self._stale.set()
        self._thread.join()
        self._write()

    def _run(self) -> None:
        while True:
            self._stale.wait()
            if self._closing.is_set():
                return
            self._stale.clear()
            began = time.monotonic()
            try:
                self._write()
            except OSError:
                self._stale.set()
            took = time.monotonic() - began
            self._closing.wait(max(LEAST_REST_SECONDS, took * (1 / SHARE_OF_TIME - 1)))

    def _write(self) -> None:
        with self._adding:
            search = self._store.linked(self._so_far.record())
        evidence = self._gatherer.evidence(search)
        write_outputs(self._store, search, self._top_k, evidence)
        write_page(self._store, search, evidence)
