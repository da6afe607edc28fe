"""When a search that has one worker starts the others."""

from __future__ import annotations

import time
from collections.abc import Callable

START_SECONDS = 10.0
"""that a worker takes to start: Ray's part, torch, torchvision and torchmetrics"""
LONGEST_WAIT_SECONDS = 3 * START_SECONDS
"""that others wait where the first worker has nothing to tell for long"""


class Staffing:
    """Holds back all workers but the first, until that one has been at work for as long as another takes to start.

    A search that is over by then has not paid for workers that do nothing; one that goes on waits no longer than it
    would have taken them to start, so that it never costs much over twice the least (the ski rental problem: Karlin,
    Manasse, Rudolph and Sleator, "Competitive snoopy caching", 1988). The first worker's start, and the features that
    all others would wait for, do not count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds"""
        self._clock = clock
        self._began: float | None = None
        self._first_report: float | None = None

    def more_than(self, running: int) -> bool:
        """Whether there may be one more worker than these that run."""
        if self._began is None:
            self._began = self._clock()
        if running == 0:
            return True
        now = self._clock()
        at_work = self._first_report is not None and now - self._first_report >= START_SECONDS
        return at_work or now - self._began >= LONGEST_WAIT_SECONDS

    def reported(self) -> None:
        """Take in that a worker has told something: it is at work."""
        if self._first_report is None:
            self._first_report = self._clock()
