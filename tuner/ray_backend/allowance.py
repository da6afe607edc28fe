"""How long a search's trials may go on: asked between their epochs, so it is held to within one epoch of each."""

from __future__ import annotations

import time
from collections.abc import Callable


class Allowance:
    """Wall-clock time from now on, and GPU time of all trials together; whatever is used up first."""

    def __init__(
        self,
        hours: float | None = None,
        gpu_hours: float | None = None,
        gpus_per_trial: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            gpus_per_trial: that each trial holds while it runs; a share of one counts as that share.
            clock: seconds
        """
        self._hours = hours
        self._gpu_hours = gpu_hours
        self._gpus = gpus_per_trial
        self._clock = clock
        self._began = clock()
        self._since: dict[str, float] = {}
        self._trial_seconds = 0.0
        """of trials that hold no GPU any more"""

    @property
    def gpu_hours_used(self) -> float:
        now = self._clock()
        running = sum(now - since for since in self._since.values())
        return self._gpus * (self._trial_seconds + running) / 3600

    @property
    def used_up(self) -> str:
        """What there is no more of, as the reason why a search stopped; empty while there is some of everything."""
        if self._hours is not None and self._clock() - self._began >= self._hours * 3600:
            return f"{self._hours:g} hours are over"
        if self._gpu_hours is not None and self.gpu_hours_used >= self._gpu_hours:
            return f"{self._gpu_hours:g} GPU hours are used"
        return ""

    def begin(self, trial: str) -> None:
        """Take in that a trial is given its GPUs."""
        self._since[trial] = self._clock()

    def end(self, trial: str) -> None:
        """Take in that a trial has given them back."""
        self._trial_seconds += self._clock() - self._since.pop(trial)
