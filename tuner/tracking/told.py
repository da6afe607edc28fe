"""What is told of a search and its trials wherever they are shown, under names that stay the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.tolerant import flat

Ending = Literal["running", "completed", "stopped", "failed"]


@dataclass(frozen=True)
class Scalar:
    """A number of one evaluation."""

    title: str
    series: str
    value: float


@dataclass(frozen=True)
class Outcome:
    """Whether something goes on, or how it has ended and why."""

    ending: Ending
    reason: str = ""
    """a few words"""
    message: str = ""
    """a sentence"""


def scalars(epoch: EpochRecord) -> list[Scalar]:
    """An epoch's numbers: a title a metric, with a series for each split; what could not be computed is left out."""
    numbers: list[tuple[str, str, float | None]] = [(name, "val", value) for name, value in epoch.val.items()]
    numbers += [("loss", "train", epoch.train_loss), ("loss", "train weighted", epoch.train_loss_weighted)]
    numbers += [("best so far", "val", epoch.best_value), ("epoch", "epoch", float(epoch.epoch))]
    numbers += [("learning rate", "lr", epoch.lr), ("seconds", "training", epoch.seconds)]
    numbers += [("images per second", "training", epoch.images_per_second)]
    numbers += [("memory GiB", "peak", epoch.peak_memory_gib)]
    return [Scalar(title, series, value) for title, series, value in numbers if value is not None]


def final_values(search: SearchRecord, trial: TrialRecord) -> dict[str, float]:
    """What a trial has come to, at its best epoch."""
    found: dict[str, float | None] = {
        search.metric or "objective": trial.best_value,
        "best_epoch": trial.best_epoch,
        "epochs_run": trial.epochs_run,
        "seconds": trial.seconds,
        "peak_memory_gib": trial.peak_memory_gib,
        "trained_parameters": trial.trained_parameters,
        "total_parameters": trial.total_parameters,
        "latency_ms": search.latency_ms(trial),
        **{f"val_{name}": value for name, value in trial.best_metrics.items()},
        **{f"test_{name}": value for name, value in trial.test.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def hyperparameters(trial: TrialRecord) -> dict[str, str]:
    """A trial's whole config by dotted path, in texts."""
    return {path: _text(value) for path, value in flat(trial.config).items()}


def tags(search: SearchRecord, trial: TrialRecord, *, is_top: bool) -> list[str]:
    """By which trials are found among those of all searches."""
    backbone = trial.config.get("backbone")
    found = ["thaw", f"search:{search.name}", f"space:{search.space}", *[f"backbone:{backbone}"] * bool(backbone)]
    found += ["baseline"] * trial.baseline + ["top"] * is_top
    found += [trial.rerun.kind] if trial.rerun else []
    return found + [trial.status] * (trial.status not in ("running", "waiting", "complete"))


def outcome_of_trial(search: SearchRecord, trial: TrialRecord) -> Outcome:
    """How a trial stands; one that its search has left amid training is stopped."""
    status = trial.status
    if status in ("running", "waiting"):
        if search.status == "running":
            return Outcome("running")
        return Outcome("stopped", "left", f"left amid training: the search is {search.status}")
    at = f"after {trial.epochs_run:g} epochs"
    if status == "complete":
        return Outcome("completed", status)
    if status == "early_stopped":
        return Outcome("completed", "early stopped", f"ended by its patience {at}")
    if status == "paused":
        where = f"at rung {trial.halted_at}" if trial.halted_at else at
        return Outcome("stopped", status, f"paused {where}")
    if status == "pruned":
        return Outcome("stopped", *_pruned(search, trial, at))
    return Outcome("failed", _reason(trial.error) or status, trial.error or status)


def outcome_of_search(search: SearchRecord) -> Outcome:
    """How a search stands."""
    if search.status == "running":
        return Outcome("running")
    if search.status == "complete":
        return Outcome("completed", "complete")
    return Outcome("failed" if search.status == "failed" else "stopped", _reason(search.reason), search.reason)


def _pruned(search: SearchRecord, trial: TrialRecord, at: str) -> Iterator[str]:
    """Reason and message."""
    if trial.facts.get("aborted") is True:
        yield from ("aborted", f"aborted by hand {at}")
    elif trial.error:
        yield from ("diverged", f"{trial.error} ({at})")
    else:
        scheduler = str(search.scheduler.get("kind") or "scheduler")
        yield from ("pruned", f"pruned by {scheduler.replace('_', ' ').upper()} {at}")


def _reason(error: str | None) -> str:
    """A few words of an error, such as `out of memory`."""
    words = re.sub(r"\s+", " ", error or "").strip()
    if re.search("out of memory", words, re.IGNORECASE):
        return "out of memory"
    return words if len(words) <= 60 else words[:57] + "..."


def _text(value: Any) -> str:
    return "" if value is None else str(value)
