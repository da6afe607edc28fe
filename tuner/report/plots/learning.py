"""Numbers of the learning curves: the objective, and the losses, by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.evidence.halted import rungs_of
from tuner.records import SearchRecord, TrialRecord
from tuner.report.plots.source import places, settings, top_trials


@dataclass(frozen=True)
class Curve:
    """One trial's objective by epoch; NaN where an epoch has no value."""

    trial: str
    settings: str
    epochs: tuple[float, ...]
    values: tuple[float, ...]
    best: tuple[float, float] | None
    """epoch and value"""
    place: int | None
    """among the top trials, from 1"""
    baseline: bool
    halted: bool
    """at a rung"""


@dataclass(frozen=True)
class LearningCurves:
    """All trials that have a value, and where halving decides."""

    name: str
    metric: str
    direction: str
    curves: tuple[Curve, ...]
    rungs: tuple[float, ...]
    """epochs"""
    epochs: float
    """of the trial that came furthest"""


@dataclass(frozen=True)
class LossCurves:
    """One trial's losses by epoch, unweighted; NaN where there is none."""

    trial: str
    settings: str
    epochs: tuple[float, ...]
    train: tuple[float, ...]
    val: tuple[float, ...]
    best_epoch: float | None
    place: int | None
    baseline: bool


@dataclass(frozen=True)
class Losses:
    """The top trials' losses, and the baseline's."""

    name: str
    trials: tuple[LossCurves, ...]


def learning_curves(record: SearchRecord) -> LearningCurves | None:
    """The objective by epoch of all trials; None before the first value."""
    found = places(record)
    curves = tuple(_curve(trial, found.get(trial.id)) for trial in record.trials if trial.best_value is not None)
    if not curves:
        return None
    epochs = max(trial.epochs_run for trial in record.trials)
    rungs = tuple(rung for rung in rungs_of(record) if rung <= epochs)
    return LearningCurves(record.name, record.metric, record.direction, curves, rungs, epochs)


def losses(record: SearchRecord) -> Losses | None:
    """Train and validation loss of the top trials and the baseline; None where no trial has both."""
    found = places(record)
    shown = top_trials(record)
    if record.baseline and record.baseline.id not in found:
        shown.append(record.baseline)
    curves = [_loss_curves(trial, found.get(trial.id)) for trial in shown]
    told = tuple(
        curve for curve in curves if any(map(math.isfinite, curve.train)) and any(map(math.isfinite, curve.val))
    )
    return Losses(record.name, told) if told else None


def _curve(trial: TrialRecord, place: int | None) -> Curve:
    best_epoch, best_value = trial.best_epoch, trial.best_value
    return Curve(
        trial=trial.id,
        settings=settings(trial),
        epochs=tuple(epoch.epoch for epoch in trial.epochs),
        values=tuple(_or_nan(epoch.value) for epoch in trial.epochs),
        best=None if best_epoch is None or best_value is None else (best_epoch, best_value),
        place=place,
        baseline=trial.baseline,
        halted=trial.status == "pruned" or trial.halted_at is not None,
    )


def _loss_curves(trial: TrialRecord, place: int | None) -> LossCurves:
    return LossCurves(
        trial=trial.id,
        settings=settings(trial),
        epochs=tuple(epoch.epoch for epoch in trial.epochs),
        train=tuple(_or_nan(epoch.train_loss) for epoch in trial.epochs),
        val=tuple(_or_nan(epoch.val.get("loss")) for epoch in trial.epochs),
        best_epoch=trial.best_epoch,
        place=place,
        baseline=trial.baseline,
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
