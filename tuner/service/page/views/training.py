"""What is being trained now, where, and what that takes of the machine: as the latest epoch of each trial tells it."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.records import SearchRecord, TrialRecord
from tuner.report.plots.source import settings
from tuner.tolerant import number


@dataclass(frozen=True)
class Training:
    """A trial that is being trained."""

    trial: str
    settings: str
    epoch: float
    epochs: float | None
    """that it is to have"""
    value: float | None
    """its best so far"""
    where: str
    """device and machine; empty before its first epoch"""
    gpus: float | None
    images_per_second: float | None
    memory_gib: float | None
    """its peak"""
    memory_of_gib: float | None
    """of the whole GPU"""
    told: str
    """UTC, of its latest event"""


def in_training(record: SearchRecord) -> tuple[Training, ...]:
    """Trials and reruns, in the order asked; none where the search does not run."""
    if record.status != "running":
        return ()
    return tuple(_training(trial) for trial in (*record.trials, *record.reruns) if trial.status == "running")


def _training(trial: TrialRecord) -> Training:
    last = trial.epochs[-1] if trial.epochs else None
    return Training(
        trial=trial.id,
        settings=settings(trial),
        epoch=trial.epochs_run,
        epochs=number(trial.config.get("epochs")),
        value=trial.best_value,
        where=", ".join(filter(None, (last.device, last.node))) if last else "",
        gpus=last.gpus if last else None,
        images_per_second=trial.images_per_second,
        memory_gib=trial.peak_memory_gib,
        memory_of_gib=last.gpu_memory_gib if last else None,
        told=trial.updated,
    )
