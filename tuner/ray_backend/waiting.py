"""A search none of whose trials finds a worker: it says so, waits for nodes to come back, and gives up in the end."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuner.interruption import Interruption

TOLD_AFTER_SECONDS = 120.0
"""without a worker: a node of a cluster takes a minute or two to be started"""
LONGEST_WAIT_SECONDS = 3600.0
"""for capacity that a cloud does not have, or a machine that someone has to switch on again"""


class Waiting:
    """How long trials have been handed out while none of them has a worker."""

    def __init__(
        self,
        describe: Callable[[], str],
        note: Callable[[str], object],
        interrupted: Interruption,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            describe: tells what the cluster has
            note: leaves a remark in the log
            clock: seconds
        """
        self._describe = describe
        self._note = note
        self._interrupted = interrupted
        self._clock = clock
        self._since: float | None = None
        self._told = False

    def look(self, handed_out: int, at_work: int) -> None:
        """Take in how many trials are handed out now, and how many of them have a worker."""
        if at_work or not handed_out:
            if self._told:
                self._note("workers have started again")
            self._since, self._told = None, False
            return
        now = self._clock()
        self._since = now if self._since is None else self._since
        waited = now - self._since
        if waited >= TOLD_AFTER_SECONDS and not self._told:
            self._told = True
            self._note(
                f"no worker has started for {waited / 60:.0f} minutes: {self._describe()}; the search waits up to "
                f"{LONGEST_WAIT_SECONDS / 60:.0f} minutes"
            )
        if waited >= LONGEST_WAIT_SECONDS:
            self._interrupted.fail(f"no worker has started for {waited / 60:.0f} minutes: {self._describe()}")
