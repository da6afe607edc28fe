"""Whether halving was safe: what trials had at a rung against what they came to, and what came of halted ones."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from search_spaces.schedulers import stored_scheduler
from tuner.records import SearchRecord, TrialRecord
from tuner.tolerant import number

FEWEST_FOR_CORRELATION = 3
FEWEST_FOR_INTERVAL = 10
"""below, Fisher's z is no normal variable and its interval says nothing"""
_ROUNDING = 1e-9
"""epochs"""


@dataclass(frozen=True)
class RungAgreement:
    """How the order of trials at a rung agrees with their order in the end."""

    rung: int
    """from 1"""
    epochs: float
    trials: int
    """that ran to the end"""
    correlation: float | None
    """Spearman's; None of too few trials, or where all are alike"""
    interval: tuple[float, float] | None
    """95 %"""


def draw_halted(search: SearchRecord, wanted: int, seed: int) -> list[TrialRecord]:
    """So many of the halted trials at random, or all there are; the same search and seed give the same."""
    halted = halted_trials(search)
    drawn = random.Random(f"audit {seed}").sample(halted, min(max(0, wanted), len(halted)))
    return sorted(drawn, key=lambda trial: trial.number)


def halted_trials(search: SearchRecord) -> list[TrialRecord]:
    """Those that were stopped or paused at a rung and stand there still."""
    return [trial for trial in search.trials if trial.halted_at is not None]


def audited_trials(search: SearchRecord) -> list[TrialRecord]:
    """Those that had been halted and were trained on to see what would have come of them."""
    return [trial for trial in search.trials if trial.audited_at is not None]


def rungs_of(search: SearchRecord) -> tuple[float, ...]:
    """The epochs at which a search's scheduler decides."""
    horizon = max((number(trial.config.get("epochs")) or 0.0 for trial in search.sampled), default=0.0)
    return stored_scheduler(search.scheduler).rungs(horizon)


def rung_agreements(search: SearchRecord) -> list[RungAgreement]:
    """For each rung, over the trials that ran to the end."""
    finished = [trial for trial in search.sampled if trial.eligible and trial.best_value is not None]
    final = [trial.best_value for trial in finished]
    found = []
    for rung, level in enumerate(rungs_of(search), start=1):
        there = [_best_at(trial, level) for trial in finished]
        pairs = [(at, end) for at, end in zip(there, final, strict=True) if at is not None and end is not None]
        correlation = _rank_correlation(pairs)
        found.append(RungAgreement(rung, level, len(pairs), correlation, _interval(correlation, len(pairs))))
    return found


def standing(search: SearchRecord, audited: TrialRecord) -> tuple[int, int]:
    """An audited trial's rank by value among the trials that halving let finish and itself, and how many these are."""
    others = {trial.id for trial in search.sampled if trial.eligible and trial.audited_at is None}
    ranked = [trial for trial in search.ranked() if trial.id in others]
    better = sum(_is_better(search, trial, audited) for trial in ranked)
    return better + 1, len(ranked) + 1


def _is_better(search: SearchRecord, one: TrialRecord, other: TrialRecord) -> bool:
    if one.best_value is None or other.best_value is None:
        return one.best_value is not None
    return one.best_value > other.best_value if search.direction == "maximize" else one.best_value < other.best_value


def _best_at(trial: TrialRecord, level: float) -> float | None:
    """A trial's best objective when it came to a rung; of one that its patience ended before, its best."""
    came_there = (epoch.best_value for epoch in trial.epochs if epoch.epoch + _ROUNDING >= level)
    return next(came_there, trial.best_value)


def _rank_correlation(pairs: list[tuple[float, float]]) -> float | None:
    there, final = zip(*pairs, strict=True) if pairs else ((), ())
    if len(pairs) < FEWEST_FOR_CORRELATION or len(set(there)) == 1 or len(set(final)) == 1:
        return None
    from scipy.stats import spearmanr  # takes seconds to import

    return float(spearmanr(there, final).statistic)


def _interval(correlation: float | None, trials: int) -> tuple[float, float] | None:
    """Bonett and Wright 2000, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations"."""
    if correlation is None or trials < FEWEST_FOR_INTERVAL or abs(correlation) > 1 - _ROUNDING:
        return None
    middle, half = math.atanh(correlation), 1.96 * math.sqrt((1 + correlation**2 / 2) / (trials - 3))
    return math.tanh(middle - half), math.tanh(middle + half)
