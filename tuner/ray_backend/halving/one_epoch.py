"""Everyone one epoch, keep the best: the cheapest halving there is, and a strong one.

Bohdal et al. 2023 (arXiv 2307.15422) and Egele et al. 2024 (arXiv 2404.04111) found it on a par with much finer
schemes.
"""

from __future__ import annotations

from collections.abc import Collection

from tuner.ray_backend.halving.ladder import Ladder, best_first
from tuner.ray_backend.halving.protocol import Decision, Promotion


class OneEpoch:
    """Pauses every trial at the only rung; when all have come there or failed, the best `keep` go on."""

    def __init__(self, ladder: Ladder, keep: int, exempt: Collection[str] = ()) -> None:
        """
        Args:
            ladder: with one rung
            exempt: trials that go on in any case, beside those that are kept.
        """
        self._ladder = ladder
        self._keep = keep
        self._exempt = frozenset(exempt)
        self._on_the_way: set[str] = set()
        """those that have not come to the rung, or were told to pause there and have not ended yet"""
        self._paused: set[str] = set()

    @property
    def levels(self) -> tuple[float, ...]:
        return self._ladder.levels

    @property
    def paused(self) -> list[str]:
        return [trial for trial in self._ranked() if trial in self._paused]

    def started(self, trial: str, stratum: str = "") -> None:  # noqa: ARG002
        self._ladder.enter(trial, "")
        if self._ladder.reached(trial) == 0:
            self._on_the_way.add(trial)

    def report(self, trial: str, epoch: float, best_so_far: float | None) -> Decision:
        if self._ladder.climb(trial, epoch, best_so_far) is None:
            return "go_on"
        if trial in self._exempt:
            self._on_the_way.discard(trial)
            return "go_on"
        return "pause"

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:  # noqa: ARG002
        if trial in self._on_the_way and self._ladder.reached(trial):
            self._paused.add(trial)
        self._on_the_way.discard(trial)

    def promotable(self, all_started: bool) -> Promotion | None:
        if not all_started or self._on_the_way:
            return None
        kept = [trial for trial in self._ranked() if trial not in self._exempt][: self._keep]
        return next((Promotion(trial, 2) for trial in kept if trial in self._paused), None)

    def promote(self, trial: str) -> None:
        self._paused.remove(trial)

    def _ranked(self) -> list[str]:
        return [entry.trial for entries in self._ladder.strata(1).values() for entry in best_first(entries)]
