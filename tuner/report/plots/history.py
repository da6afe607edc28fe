"""Numbers of the optimisation history: what each trial came to, in the order asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord
from tuner.report.plots.source import Source, places

_MOST_INTERVALS = 40
"""trials up to which each has its interval; beyond, only the top ones"""


@dataclass(frozen=True)
class Point:
    """A trial; without a value it never came to one."""

    number: int
    """from 1, as in the trial's id"""
    trial: str
    status: str
    value: float | None
    interval: tuple[float, float] | None
    """95 %, on validation"""
    place: int | None


@dataclass(frozen=True)
class Level:
    """What trials are held against."""

    name: str
    value: float


@dataclass(frozen=True)
class History:
    """All trials by number."""

    name: str
    metric: str
    direction: str
    points: tuple[Point, ...]
    best_so_far: tuple[tuple[int, float], ...]
    """(number, value) at each finished trial better than all before it"""
    levels: tuple[Level, ...]
    tied: tuple[str, ...]
    """trials that are not told apart from the best, best first"""


def history(source: Source) -> History | None:
    """Value by trial number; None before the first value."""
    record = source.record
    if not record.ranked():
        return None
    found = places(record)
    with_intervals = None if len(record.trials) <= _MOST_INTERVALS else found.keys()
    points = tuple(
        Point(
            number=trial.number + 1,
            trial=trial.id,
            status=trial.status,
            value=trial.best_value,
            interval=_interval(source.evidence, trial.id)
            if with_intervals is None or trial.id in with_intervals
            else None,
            place=found.get(trial.id),
        )
        for trial in record.trials
    )
    tied = source.evidence.tied if source.evidence else frozenset()
    return History(
        name=record.name,
        metric=record.metric,
        direction=record.direction,
        points=points,
        best_so_far=tuple(_best_so_far(record)),
        levels=tuple(_levels(record)),
        tied=tuple(trial.id for trial in record.ranked() if trial.id in tied),
    )


def _interval(evidence: Evidence | None, name: str) -> tuple[float, float] | None:
    interval = evidence.intervals.get(name) if evidence else None
    return None if interval is None else (interval.low, interval.high)


def _best_so_far(record: SearchRecord) -> Iterator[tuple[int, float]]:
    """Finished trials only: what is pruned or failed never becomes the best."""
    sign = 1.0 if record.direction == "maximize" else -1.0
    best: float | None = None
    for trial in record.trials:
        value = trial.best_value
        if trial.eligible and value is not None and (best is None or sign * value > sign * best):
            best = value
            yield trial.number + 1, value


def _levels(record: SearchRecord) -> Iterator[Level]:
    baseline = record.baseline
    if baseline and baseline.best_value is not None:
        yield Level("baseline", baseline.best_value)
    for reference in record.references:
        value = reference.val.get(record.metric)
        if value is not None:
            yield Level(reference.name.replace("_", " "), value)
