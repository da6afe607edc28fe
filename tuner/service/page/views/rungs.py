"""The rungs of a search's scheduler: how many trials came to each, and what was decided there."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.evidence.halted import rungs_of
from tuner.records import SearchRecord, TrialRecord

_ROUNDING = 1e-9
"""epochs"""


@dataclass(frozen=True)
class Rung:
    number: int
    """from 1"""
    epochs: float
    reached: int
    """trials that were trained so long"""
    halted: int
    """stopped here"""
    waiting: int
    """paused here: they may yet go on"""
    best: float | None
    """the best value that any trial had here"""


def rungs(record: SearchRecord) -> tuple[Rung, ...]:
    """The lowest first; none where nothing is halted."""
    return tuple(_rung(record, number, epochs) for number, epochs in enumerate(rungs_of(record), start=1))


def _rung(record: SearchRecord, number: int, epochs: float) -> Rung:
    there = [value for trial in record.sampled if (value := _value_at(trial, epochs)) is not None]
    halted = [trial for trial in record.sampled if trial.halted_at == number]
    return Rung(
        number=number,
        epochs=epochs,
        reached=sum(trial.epochs_run + _ROUNDING >= epochs for trial in record.sampled),
        halted=sum(trial.status == "pruned" for trial in halted),
        waiting=sum(trial.status == "paused" for trial in halted),
        best=(max if record.direction == "maximize" else min)(there, default=None),
    )


def _value_at(trial: TrialRecord, epochs: float) -> float | None:
    """The best so far when it came there."""
    return next((epoch.best_value for epoch in trial.epochs if epoch.epoch + _ROUNDING >= epochs), None)
