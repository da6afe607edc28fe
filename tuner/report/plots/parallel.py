"""Numbers of the parallel coordinates: each trial as a line through its values on all axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.report.plots.axes import SearchedAxis, searched_axes
from tuner.report.plots.limits import value_limits
from tuner.report.plots.source import Source, places

_EDGE = 0.08
"""room above and below an axis's outermost levels"""
MOST_AXES = 12


@dataclass(frozen=True)
class Upright:
    """One axis, drawn from 0 to 1."""

    path: str
    levels: tuple[tuple[float, str], ...]
    """(position, name); empty for an axis of numbers"""
    low: float
    high: float
    """the numbers at 0 and 1; unused with levels"""
    log: bool


@dataclass(frozen=True)
class Thread:
    """One trial: its position on each axis (None: the axis does not exist for it), and its objective."""

    trial: str
    positions: tuple[float | None, ...]
    value: float
    place: int | None
    finished: bool


@dataclass(frozen=True)
class Parallel:
    """Axes side by side and the trials through them, those without a value left out."""

    name: str
    metric: str
    direction: str
    uprights: tuple[Upright, ...]
    threads: tuple[Thread, ...]
    limits: tuple[float, float]
    """of the objective"""
    axes_left_out: int


def parallel(source: Source) -> Parallel | None:
    """None where fewer than two trials have a value, or nothing was varied among them."""
    record = source.record
    trials = record.ranked()
    axes = searched_axes(source, trials)
    if not axes:
        return None
    found = places(record)
    shown = axes[:MOST_AXES]
    uprights = [_upright(axis) for axis in shown]
    threads = tuple(
        Thread(
            trial=trial.id,
            positions=tuple(_position(u, axis.values.get(trial.id)) for u, axis in zip(uprights, shown, strict=True)),
            value=trial.best_value,
            place=found.get(trial.id),
            finished=trial.eligible,
        )
        for trial in trials
        if trial.best_value is not None
    )
    limits = value_limits([t.value for t in threads], kept=[t.value for t in threads if t.place])
    return Parallel(
        record.name, record.metric, record.direction, tuple(uprights), threads, limits, len(axes) - len(shown)
    )


def _upright(axis: SearchedAxis) -> Upright:
    if axis.levels:
        step = (1 - 2 * _EDGE) / max(len(axis.levels) - 1, 1)
        levels = tuple((_EDGE + index * step, level) for index, level in enumerate(axis.levels))
        return Upright(axis.path, levels, 0.0, 1.0, False)
    return Upright(axis.path, (), min(axis.values.values()), max(axis.values.values()), axis.log)


def _position(upright: Upright, value: float | None) -> float | None:
    if value is None:
        return None
    if upright.levels:
        return upright.levels[int(value)][0]
    low, high = upright.low, upright.high
    if upright.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
