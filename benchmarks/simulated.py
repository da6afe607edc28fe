"""A search replayed on recorded curves: workers that run trials side by side, and a scheduler that halts them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.recorded import Grid
from tuner.ray_backend.halving.protocol import Halving

Clock = Callable[[str, int], float]
"""trial, evaluation from 0 -> how long the trial has trained when it is scored"""


@dataclass
class Outcome:
    """What a replayed search came to."""

    evaluations: dict[str, int] = field(default_factory=dict)
    """of each trial that was started"""
    finished: list[str] = field(default_factory=list)
    """those that ran to their last epoch, in that order"""
    duration: float = 0.0
    """by the clock"""

    def epochs(self, grid: Grid) -> float:
        """Trained in all."""
        return sum(grid.epochs[evaluations - 1] for evaluations in self.evaluations.values())


def replay_search(grid: Grid, order: Sequence[str], halving: Halving, workers: int, clock: Clock) -> Outcome:
    """Run the trials in this order on so many workers, each starting another one as soon as it is free.

    Reports come in by the clock, those of the same moment in the order in which their trials began to train.
    """
    outcome = Outcome()
    waiting = list(reversed(order))
    running: list[tuple[float, int, str]] = []
    """when its next report is due, the turn in which it began to train, the trial"""
    now, turns = 0.0, 0

    def due(trial: str) -> float:
        done = outcome.evaluations.get(trial, 0)
        return now + clock(trial, done) - (clock(trial, done - 1) if done else 0.0)

    while True:
        while len(running) < workers:
            trial = _next_trial(halving, waiting)
            if trial is None:
                break
            heapq.heappush(running, (due(trial), turns, trial))
            turns += 1
        if not running:
            return outcome
        now, turn, trial = heapq.heappop(running)
        outcome.duration = now
        if _goes_on(grid, halving, trial, outcome):
            heapq.heappush(running, (due(trial), turn, trial))


def _next_trial(halving: Halving, waiting: list[str]) -> str | None:
    """What a free worker is given, as the driver of a search gives it; takes it from those that wait."""
    promotion = halving.promotable(all_started=not waiting)
    if promotion:
        halving.promote(promotion.trial)
        return promotion.trial
    if not waiting:
        return None
    trial = waiting.pop()
    halving.started(trial)
    return trial


def _goes_on(grid: Grid, halving: Halving, trial: str, outcome: Outcome) -> bool:
    """Report a trial's next evaluation; False: its worker is free."""
    done = outcome.evaluations[trial] = outcome.evaluations.get(trial, 0) + 1
    best = grid.bests[trial][done - 1]
    if done == len(grid.epochs):
        outcome.finished.append(trial)
    elif halving.report(trial, grid.epochs[done - 1], best) == "go_on":
        return True
    halving.ended(trial, best, early_stopped=False)
    return False
