"""Asynchronous successive halving that stops trials.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, in its stopping variant, which decides
by the quantile that Ray's AsyncHyperBandScheduler uses. Unlike that one it compares best-so-far values, keeps the
bests of early-stopped trials and may compare within strata.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tuner.ray_backend.halving.ladder import Ladder
from tuner.ray_backend.halving.protocol import Decision, Promotion


class StoppingAsha:
    """Stops a trial at a rung unless it is among the best 1 / `reduction_factor` that came there before it."""

    def __init__(self, ladder: Ladder, reduction_factor: float, exempt: Collection[str] = ()) -> None:
        """
        Args:
            exempt: trials that are recorded, so that others are judged against them, but never stopped.
        """
        self._ladder = ladder
        self._quantile = 1 - 1 / reduction_factor
        self._exempt = frozenset(exempt)
        self._stopped: set[str] = set()

    @property
    def levels(self) -> tuple[float, ...]:
        return self._ladder.levels

    def started(self, trial: str, stratum: str = "") -> None:
        self._ladder.enter(trial, stratum)

    def report(self, trial: str, epoch: float, best_so_far: float | None) -> Decision:
        if trial in self._stopped:  # it was told so, and is told once
            return "go_on"
        entries = self._ladder.climb(trial, epoch, best_so_far)
        if entries is None or trial in self._exempt:
            return "go_on"
        *before, own = (entry.score for entry in entries)
        if not before or own >= float(np.quantile(before, self._quantile)):
            return "go_on"
        self._stopped.add(trial)
        return "stop"

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:
        if early_stopped:
            self._ladder.carry(trial, best)

    def promotable(self, all_started: bool) -> Promotion | None:  # noqa: ARG002
        return None

    def promote(self, trial: str) -> None:
        raise ValueError(f"{trial} is not paused")

    @property
    def paused(self) -> list[str]:
        return []
