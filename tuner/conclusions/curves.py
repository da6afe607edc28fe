"""What the learning curves of a search say: overfitting, trials cut short or too long, validation against test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from tuner.records import EpochRecord, SearchRecord, TrialRecord

_FEWEST_EPOCHS = 3
_LASTING_STEPS, _RISE = 2, 1.01
"""a loss rises where it ends with so many evaluations by so much above its minimum: less may be a wiggle"""
_EARLY = 0.5
"""a best epoch before this share of the epochs is long before the end"""


@dataclass(frozen=True)
class Overfitting:
    """Trials whose validation loss rises while their training loss goes on falling."""

    trials: int
    looked_at: int
    since: float
    """the median of the epochs after which validation loss rises"""
    best_epoch: float
    """the median of those trials' best epochs by the objective"""


@dataclass(frozen=True)
class BestEpochs:
    """Where trials that trained for all their epochs were best."""

    trials: int
    at_the_end: int
    early: int
    """in the first half of their epochs"""


@dataclass(frozen=True)
class OnTest:
    """A trial's objective on validation and on test."""

    trial: str
    val: float
    test: float


def overfitting(record: SearchRecord) -> Overfitting | None:
    """None where no trial has both losses over at least three evaluations."""
    curves = {trial.id: _losses(trial.epochs) for trial in record.trials}
    looked_at = {trial: curve for trial, curve in curves.items() if len(curve) >= _FEWEST_EPOCHS}
    if not looked_at:
        return None
    since = {trial: epoch for trial, epoch in ((t, _rises_after(c)) for t, c in looked_at.items()) if epoch is not None}
    best = [trial.best_epoch for trial in record.trials if trial.id in since and trial.best_epoch is not None]
    return Overfitting(
        len(since), len(looked_at), median(since.values()) if since else 0.0, median(best) if best else 0.0
    )


def _losses(epochs: Iterable[EpochRecord]) -> list[tuple[float, float, float]]:
    """(epoch, validation loss, training loss)"""
    return [
        (epoch.epoch, epoch.val["loss"], epoch.train_loss)
        for epoch in epochs
        if "loss" in epoch.val and epoch.train_loss is not None
    ]


def _rises_after(curve: list[tuple[float, float, float]]) -> float | None:
    """The epoch of the lowest validation loss, if it has risen at the end while training loss fell."""
    lowest = min(range(len(curve)), key=lambda at: curve[at][1])
    epoch, val, train = curve[lowest]
    end = curve[lowest + 1 :][-_LASTING_STEPS:]
    risen = len(end) == _LASTING_STEPS and all(later > _RISE * val for _, later, _ in end)
    return epoch if risen and curve[-1][2] < train else None


def best_epochs(record: SearchRecord) -> BestEpochs | None:
    """None where no trial trained for all its epochs, two or more."""
    whole = [trial for trial in record.trials if _trained_to_horizon(trial)]
    if not whole:
        return None
    shares = [(trial.best_epoch or 0.0) / trial.epochs_run for trial in whole]
    return BestEpochs(len(whole), sum(share == 1 for share in shares), sum(share < _EARLY for share in shares))


def _trained_to_horizon(trial: TrialRecord) -> bool:
    horizon = trial.config.get("epochs")
    known = isinstance(horizon, int) and horizon > 1 and trial.best_epoch is not None
    return known and trial.status == "complete" and trial.epochs_run >= float(horizon or 0)


def scored_on_test(record: SearchRecord) -> list[OnTest]:
    """Every trial that was scored on test, in the order asked."""
    return [
        OnTest(trial.id, trial.best_value, trial.test[record.metric])
        for trial in record.trials
        if record.metric in trial.test and trial.best_value is not None
    ]


def endings(record: SearchRecord) -> dict[str, list[str]]:
    """`complete`, `early_stopped`, `pruned`, `halted`, `diverged`, `failed` or another status -> trials, those without
    any out.

    A trial diverged when its objective could no longer be computed; it is halted where it is paused at a rung.
    """
    order = ("complete", "early_stopped", "pruned", "halted", "diverged", "failed")
    found: dict[str, list[str]] = {ending: [] for ending in order}
    for trial in record.trials:
        diverged = trial.status == "pruned" and (trial.error or (trial.epochs and trial.epochs[-1].value is None))
        halted = trial.status == "paused" and trial.halted_at
        found.setdefault("diverged" if diverged else "halted" if halted else trial.status, []).append(trial.id)
    return {status: trials for status, trials in found.items() if trials}
