"""Asynchronous successive halving as pure logic: numbers in, `stop` out.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, in its stopping variant, which decides
by the quantile that Ray's AsyncHyperBandScheduler uses. Unlike that one it compares best-so-far values, keeps the
bests of early-stopped trials and may compare within strata.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

ROUNDING = 1e-9
"""epochs by which a rung may be missed: three times 0.1 is a little more than 0.3"""


class Stopping(Protocol):
    """Decides, report by report, which trials are not worth more epochs."""

    @property
    def levels(self) -> tuple[float, ...]:
        """The epochs at which decisions fall, ascending."""

    @property
    def stopped(self) -> frozenset[str]:
        """The trials that were told to stop."""

    def report(self, trial: str, epoch: float, best_so_far: float | None, stratum: str = "") -> bool:
        """Take in a trial's best objective after `epoch` epochs; True: stop it."""

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:
        """Take in that a trial has ended, with its best objective; `early_stopped`: by its patience."""


@dataclass
class _Progress:
    stratum: str
    reached: int = 0
    """rungs that the trial has passed, from the lowest"""
    stopped: bool = False


class Rungs:
    """Stops a trial at a rung unless it is among the best 1 / `reduction_factor` recorded there before it.

    Decisions depend on the order of reports and on nothing else: repeating `report` and `ended` in the order of the
    event log rebuilds the same rungs and the same decisions.
    """

    def __init__(
        self,
        grace_epochs: float,
        reduction_factor: float,
        max_epochs: float,
        direction: Literal["maximize", "minimize"],
        exempt: Collection[str] = (),
    ) -> None:
        """Rungs at grace_epochs * reduction_factor**k epochs, below max_epochs.

        Args:
            exempt: trials that are recorded, so that others are judged against them, but never stopped.

        Raises:
            ValueError: grace_epochs is not above 0 or reduction_factor not above 1.
        """
        if grace_epochs <= 0 or reduction_factor <= 1:
            raise ValueError(
                f"rungs need grace_epochs > 0 and reduction_factor > 1: {grace_epochs}, {reduction_factor}"
            )
        levels = []
        level = grace_epochs
        while level < max_epochs:
            levels.append(level)
            level *= reduction_factor
        self._levels = tuple(levels)
        self._quantile = 1 - 1 / reduction_factor
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._exempt = frozenset(exempt)
        self._recorded: dict[tuple[str, int], list[float]] = {}
        self._trials: dict[str, _Progress] = {}

    @property
    def levels(self) -> tuple[float, ...]:
        return self._levels

    @property
    def stopped(self) -> frozenset[str]:
        return frozenset(trial for trial, progress in self._trials.items() if progress.stopped)

    def report(self, trial: str, epoch: float, best_so_far: float | None, stratum: str = "") -> bool:
        """Record a trial that has come to a new rung and judge it against those recorded there before.

        A trial is told to stop once at most; one that skipped rungs between two reports is judged at the highest
        only. A best that is not finite never enters a rung: whether a diverged trial goes on is not decided here.

        Args:
            epoch: epochs trained, 1.0 after the first; a rung between two evaluations is decided at the second.
            best_so_far: the trial's best objective up to this epoch; None before there is one.
            stratum: trials are compared with those of the same stratum only.
        """
        progress = self._trials.setdefault(trial, _Progress(stratum))
        reached = sum(level <= epoch + ROUNDING for level in self._levels)
        if progress.stopped or reached <= progress.reached or best_so_far is None or not math.isfinite(best_so_far):
            return False
        progress.reached = reached
        others = self._recorded.setdefault((progress.stratum, reached), [])
        score = self._sign * best_so_far
        progress.stopped = trial not in self._exempt and self._is_too_low(score, others)
        others.append(score)
        return progress.stopped

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:
        """Carry the best of a trial that ended by patience into every later rung.

        Its best would hardly have improved with more epochs; without it, later rungs would be judged by the survivors
        of fewer, and a trial worse than it could pass them.
        """
        progress = self._trials.get(trial)
        if progress is None or not early_stopped or best is None or not math.isfinite(best):
            return
        for rung in range(progress.reached + 1, len(self._levels) + 1):
            self._recorded.setdefault((progress.stratum, rung), []).append(self._sign * best)
        progress.reached = len(self._levels)

    def _is_too_low(self, score: float, others: list[float]) -> bool:
        return bool(others) and score < float(np.quantile(others, self._quantile))


class NoRungs:
    """Stops nothing: `scheduler: none`."""

    @property
    def levels(self) -> tuple[float, ...]:
        return ()

    @property
    def stopped(self) -> frozenset[str]:
        return frozenset()

    def report(self, trial: str, epoch: float, best_so_far: float | None, stratum: str = "") -> bool:  # noqa: ARG002
        return False

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:
        pass
