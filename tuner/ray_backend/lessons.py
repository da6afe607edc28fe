"""What an Optuna study is told of a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.ray_backend.domain import Label, state_of
from tuner.records import Direction


@dataclass(frozen=True)
class Lesson:
    """What the study is told about a trial."""

    state: TrialState
    value: float | None = None
    values: dict[int, float] = field(default_factory=dict)
    """step -> best objective so far"""


def frozen_trial(
    lesson: Lesson, params: Mapping[str, Label], distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    return create_trial(
        state=lesson.state,
        value=lesson.value,
        params=dict(params),
        distributions=dict(distributions),
        intermediate_values=lesson.values,
    )


def lesson_of(direction: Direction, status: str, best: float | None, values: dict[int, float]) -> Lesson:
    """The study's state, value and intermediate values for a trial that has ended.

    TPE puts completed trials before pruned ones, and pruned ones in order of their last step, latest first, and then of
    the value there. Two things follow. The values are best-so-far ones, as those that decided the pruning were. And
    a trial that diverged must not keep its steps, or one that did so late would rank above all that were pruned
    earlier; a single worst value at step 0, where no other trial has its last, ranks it below them all.
    """
    so_far = _best_so_far(direction, values)
    state = state_of(status)
    if state is TrialState.FAIL or (status == "paused" and best is None):
        return Lesson(TrialState.FAIL, None, so_far)
    last = next(reversed(values.values()), best) if state is TrialState.PRUNED else best
    if best is None or last is None or not math.isfinite(best) or not math.isfinite(last):
        worst = -math.inf if direction == "maximize" else math.inf
        return Lesson(TrialState.PRUNED, worst, {0: worst})
    if state is TrialState.PRUNED:
        return Lesson(state, next(reversed(so_far.values()), None), so_far)
    return Lesson(state, best, so_far)


def _best_so_far(direction: Direction, values: dict[int, float]) -> dict[int, float]:
    better = max if direction == "maximize" else min
    so_far: dict[int, float] = {}
    for step, value in values.items():
        if math.isfinite(value):
            so_far[step] = better(next(reversed(so_far.values()), value), value)
    return so_far
