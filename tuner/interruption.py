"""Stopping a search from outside: a request in its folder, which its driver looks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from trainable.disk import told_of_disk
from trainable.errors import UserError
from tuner.storage.home import runs_search
from tuner.store import Store

STOP, ABORT = "stop", "abort"
"""what is asked of the driver, by `tuner stop` and where a tracker shows the search"""
_ABORT_TRIAL = f"{ABORT}-"


class Interruption(threading.Event):
    """Set when a search is to stop in order, with the reason."""

    reason = "interrupted"
    unasked = False
    """whether nobody has asked for it"""
    failed = False
    """whether it is because going on would come to nothing"""

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


@contextmanager
def heeding_requests(store: Store, interrupted: Interruption) -> Iterator[Callable[[str], bool]]:
    """Heed requests, also those that were made since the lock was taken.

    Gives what says of a trial whether it is to end at its next evaluation.
    """
    done = threading.Event()
    aborted: set[str] = set()

    def look() -> None:
        requests = store.home.requests()
        if STOP in requests:
            interrupted.interrupt("stopped by `tuner stop`")
        if ABORT in requests:
            interrupted.interrupt("aborted where a tracker shows it")
        aborted.update(name.removeprefix(_ABORT_TRIAL) for name in requests if name.startswith(_ABORT_TRIAL))

    def look_again() -> None:
        while not done.wait(store.home.look_seconds):
            look()

    look()
    looking = threading.Thread(target=look_again, name="stop-requests", daemon=True)
    looking.start()
    try:
        yield aborted.__contains__
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
