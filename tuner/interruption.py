"""Requests to a running search, which lie in its folder, where its driver looks for them: to stop, and others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from trainable.disk import told_of_disk
from trainable.errors import UserError
from tuner.storage.home import runs_search
from tuner.store import Store
from tuner.wording.language import marked

STOP, ABORT = "stop", "abort"
"""what is asked of the driver, by `tuner stop` and where a tracker shows the search"""
_ABORT_TRIAL = f"{ABORT}-"
_MOST_TRIALS = "most-trials-"
"""with the request's number and how many: the latest holds"""


class Interruption(threading.Event):
    """Set when a search is to stop in order, with the reason."""

    reason = marked("interrupted")
    unasked = False
    """whether nobody has asked for it"""
    failed = False
    """whether it is because going on would come to nothing"""
    ray_is_gone = False
    """whether that is for want of Ray: with another one it may well go on"""

    def interrupt(self, reason: str) -> None:
        """Ask for it, unless someone has before."""
        if not self.is_set():
            self.reason = reason
            self.set()

    def hold(self, reason: str) -> None:
        """Stop the search for want of something that it needs, unless someone has asked for that before."""
        if not self.is_set():
            self.unasked = True
            self.interrupt(reason)

    def fail(self, reason: str) -> None:
        """End the search in order, unless someone has asked for that before."""
        if not self.is_set():
            self.failed = True
            self.hold(reason)


class SearchFailedError(Exception):
    """A search has ended in order, all that finished being written, though nobody asked for it."""


@dataclass
class Asked:
    """What is asked of a search that goes on."""

    aborted: set[str] = field(default_factory=set)
    """trials that are to end at their next evaluation"""
    most_trials: int | None = None
    """at once; None: as many as there is room for"""


@contextmanager
def heeding_requests(store: Store, interrupted: Interruption) -> Iterator[Asked]:
    """Heed requests, also those that were made since the lock was taken. What it gives changes as they come."""
    done = threading.Event()
    asked = Asked()

    def look() -> None:
        requests = store.home.requests()
        if STOP in requests:
            interrupted.interrupt(marked("stopped by `tuner stop`"))
        if ABORT in requests:
            interrupted.interrupt(marked("aborted where a tracker shows it"))
        asked.aborted.update(name.removeprefix(_ABORT_TRIAL) for name in requests if name.startswith(_ABORT_TRIAL))
        asked.most_trials = _most_trials(requests)

    def look_again() -> None:
        while not done.wait(store.home.look_seconds):
            look()

    look()
    looking = threading.Thread(target=look_again, name="stop-requests", daemon=True)
    looking.start()
    try:
        yield asked
    finally:
        done.set()
        looking.join()
        with suppress(OSError):  # where they lie on, the next run withdraws them
            store.home.withdraw()


def withdraw_requests(store: Store) -> None:
    """Forget what was asked of an earlier run; by who has just taken the lock."""
    store.home.withdraw()


def request_abort(store: Store, trial: str | None = None) -> None:
    """Ask the process that runs a search to stop it, or to end one of its trials as it is. Raises OSError."""
    store.home.request(ABORT if trial is None else _ABORT_TRIAL + trial)


def limit_trials(store: Store, most: int | None) -> None:
    """Ask the process that runs a search to have no more trials at once, from their next evaluations on.

    Args:
        most: 1 at least; None: as many as there is room for

    Raises:
        OSError: it cannot be asked.
    """
    before = sorted(name for name in store.home.requests() if name.startswith(_MOST_TRIALS))
    if _most_trials(before) == most:
        return
    if most is not None:
        number = int(before[-1].removeprefix(_MOST_TRIALS).partition("-")[0]) + 1 if before else 1
        store.home.request(f"{_MOST_TRIALS}{number:08}-{most}")
    store.home.withdraw(before)


def _most_trials(requests: Iterable[str]) -> int | None:
    latest = max((name for name in requests if name.startswith(_MOST_TRIALS)), default=None)
    return int(latest.rpartition("-")[2]) if latest else None


def stop_search(store: Store, *, wait_seconds: float) -> None:
    """Ask a running search to stop, and wait until its process is gone; it can be resumed.

    Raises:
        UserError: no process runs it, or it has not stopped in time.
    """
    holder = store.holder()
    if not holder:
        raise UserError(f"search {store.name!r} is not running: there is nothing to stop")
    if not runs_search(holder):
        raise UserError(f"search {store.name!r} is not running: it is held by {holder}; wait for that, or end it")
    try:
        store.home.request(STOP)
    except OSError as error:
        raise UserError(
            f"search {store.name!r} cannot be asked to stop ({told_of_disk(error)}): send SIGTERM to "
            f"{store.holder() or 'its process'}, which does the same"
        ) from None
    until = time.monotonic() + wait_seconds
    while store.held():
        if time.monotonic() > until:
            raise UserError(
                f"search {store.name!r} has not stopped in {wait_seconds:g} s; it will when it looks again: wait, or "
                f"end {store.holder() or 'its process'}"
            )
        time.sleep(store.home.look_seconds / 5)
