"""Asynchronous successive halving that pauses and promotes.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2: a trial pauses at every
rung and goes on once it is among the best 1 / `reduction_factor` of all that came there. Three things differ. Unless
`eager`, promotions wait until all trials have started, and then the lowest rung comes first: a search has a known
number of trials, and whom the first few would promote many of the rest surpass. Best-so-far values are compared. And
what is best at the highest rung goes on even where a `reduction_factor`-th of the few trials there is less than one, so
that a search ends with one that was trained to its last epoch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tuner.ray_backend.halving.ladder import Entry, Ladder, best_first
from tuner.ray_backend.halving.protocol import Decision, Promotion


class PausingAsha:
    """Pauses every trial at every rung; the best of each rung are promotable."""

    def __init__(
        self, ladder: Ladder, reduction_factor: int, *, eager: bool = False, exempt: Collection[str] = ()
    ) -> None:
        """
        Args:
            eager: promote while new trials are still to start, from the highest rung down, as the paper does.
            exempt: trials that are recorded, so that others are judged against them, but never paused.
        """
        self._ladder = ladder
        self._factor = reduction_factor
        self._eager = eager
        self._exempt = frozenset(exempt)
        self._running: set[str] = set()
        self._pausing: set[str] = set()
        """those that were told to pause and have not ended yet"""
        self._paused: set[str] = set()

    @property
    def levels(self) -> tuple[float, ...]:
        return self._ladder.levels

    @property
    def paused(self) -> list[str]:
        rungs = reversed(range(1, len(self.levels) + 1))
        return [entry.trial for rung in rungs for entry in best_first(self._waiting(self._entries(rung), rung))]

    def started(self, trial: str, stratum: str = "") -> None:
        self._ladder.enter(trial, stratum)
        self._running.add(trial)

    def report(self, trial: str, epoch: float, best_so_far: float | None) -> Decision:
        if self._ladder.climb(trial, epoch, best_so_far) is None or trial in self._exempt:
            return "go_on"
        self._pausing.add(trial)
        return "pause"

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:
        self._running.discard(trial)
        if early_stopped:
            self._ladder.carry(trial, best)
        elif trial in self._pausing:
            self._paused.add(trial)
        self._pausing.discard(trial)

    def promotable(self, all_started: bool) -> Promotion | None:
        choices = [self._among_the_best] * (all_started or self._eager) + [self._alone_at_the_top] * all_started
        rungs = range(1, len(self.levels) + 1)
        for choose in choices:
            for rung in reversed(rungs) if self._eager else rungs:
                if found := best_first(choose(rung)):
                    return Promotion(found[0].trial, rung + 1)
        return None

    def promote(self, trial: str) -> None:
        self._paused.remove(trial)
        self._running.add(trial)

    def _among_the_best(self, rung: int) -> Iterator[Entry]:
        """Those that wait at a rung and are in the best part of their stratum there."""
        for entries in self._ladder.strata(rung).values():
            yield from self._waiting(best_first(entries)[: len(entries) // self._factor], rung)

    def _alone_at_the_top(self, rung: int) -> Iterator[Entry]:
        """The best that waits at a rung, in strata from which none has gone on from there and none is still to come."""
        coming = {
            self._ladder.stratum(trial) for trial in self._running - self._exempt if self._ladder.reached(trial) < rung
        }
        for stratum, entries in self._ladder.strata(rung).items():
            sampled = [entry for entry in entries if entry.trial not in self._exempt]
            waiting = self._waiting(sampled, rung)
            if waiting and len(waiting) == len(sampled) and stratum not in coming:
                yield best_first(waiting)[0]

    def _waiting(self, entries: list[Entry], rung: int) -> list[Entry]:
        return [entry for entry in entries if entry.trial in self._paused and self._ladder.reached(entry.trial) == rung]

    def _entries(self, rung: int) -> list[Entry]:
        return [entry for entries in self._ladder.strata(rung).values() for entry in entries]
