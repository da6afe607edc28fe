"""How long a search's trials may go on: asked between their epochs, so it is held to within one epoch of each."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuner.spending import NEARLY, NOTHING_SPENT, Spent


class Allowance:
    """Wall-clock time, and GPU time of all trials together; whatever is used up first."""

    def __init__(
        self,
        hours: float | None = None,
        gpu_hours: float | None = None,
        gpus_of: Callable[[str], float] = lambda _: 0.0,
        spent: Spent = NOTHING_SPENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            gpus_of: tells what a trial holds while it runs; a share of a GPU counts as that share.
            spent: what earlier runs of the search have taken of it
            clock: seconds
        """
        self._hours = hours
        self._gpu_hours = gpu_hours
        self.gpus_of = gpus_of
        self._clock = clock
        self._began = clock() - spent.hours * 3600
        self._since: dict[str, float] = {}
        self._gpu_seconds = spent.gpu_hours * 3600
        """of trials that hold no GPU any more"""
        self._others: list[Callable[[], str]] = []

    def keep_to(self, used_up: Callable[[], str]) -> None:
        """Also end with what this tells that there is no more of; it tells nothing while there is enough."""
        self._others.append(used_up)

    @property
    def gpu_hours_used(self) -> float:
        return (self._gpu_seconds + sum(map(self._gpu_seconds_now, self._since))) / 3600

    @property
    def used_up(self) -> str:
        """What there is no more of, as the reason why a search stopped; empty while there is some of everything."""
        if self._hours is not None and self._clock() - self._began >= self._hours * 3600:
            return f"{self._hours:g} hours are over; more: `tuner resume --hours`"
        if self._gpu_hours is not None and self.gpu_hours_used >= self._gpu_hours:
            return f"{self._gpu_hours:g} GPU hours are used; more: `tuner resume --gpu-hours`"
        return next(filter(None, (used_up() for used_up in self._others)), "")

    @property
    def nearly_used_up(self) -> str:
        """What is used but for a tenth, in words; empty while there is more of everything."""
        hours = (self._clock() - self._began) / 3600
        if self._hours is not None and hours >= NEARLY * self._hours:
            return f"{hours / self._hours:.0%} of {self._hours:g} hours are over"
        if self._gpu_hours is not None and (used := self.gpu_hours_used) >= NEARLY * self._gpu_hours:
            return f"{used / self._gpu_hours:.0%} of {self._gpu_hours:g} GPU hours are used"
        return ""

    def begin(self, trial: str) -> None:
        """Take in that a trial is given its GPUs."""
        self._since[trial] = self._clock()

    def end(self, trial: str) -> None:
        """Take in that a trial has given them back; one that holds none is ignored."""
        if trial in self._since:
            self._gpu_seconds += self._gpu_seconds_now(trial)
            del self._since[trial]

    def _gpu_seconds_now(self, trial: str) -> float:
        """Since it began."""
        return self.gpus_of(trial) * (self._clock() - self._since[trial])
