"""Curves as lines of SVG: numbers become places on a square of 1000 by 1000, which a page stretches as it likes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.records import SearchRecord
from tuner.report import table
from tuner.report.plots import style
from tuner.report.plots.draw_parallel import number_ticks
from tuner.report.plots.learning import Curve, learning_curves
from tuner.report.plots.limits import count_outside, value_limits
from tuner.report.plots.parallel import Thread, Upright, parallel
from tuner.report.plots.source import Source, settings

MOST_LINES = 300
"""best trials first; more could not be told from each other"""
MOST_POINTS = 100
"""of a line; beyond, every second one and so on"""
SIDE = 1000
_ABSENT = 1.07
"""where a line passes an axis that its trial does not have: below it"""
_SHIFT = 0.018
"""how far lines through the same level are drawn apart"""
_GOLDEN = 0.618034
"""its multiples, modulo 1, are far from each other"""
_FEW_AXES, _MANY_AXES = 4, 8
_FEW_EPOCHS, _MOST_EPOCH_TICKS = 3, 8

Point = tuple[float, float]
"""shares of width and height, from the upper left"""


@dataclass(frozen=True)
class Stroke:
    """One trial's line, and where its best epoch is."""

    trial: str
    told: str
    """the trial in words"""
    path: str
    look: str
    """classes"""
    place: int | None
    dot: str = ""
    cross: str = ""
    """where it was halted"""


@dataclass(frozen=True)
class Tick:
    at: float
    """percent from the left or from above"""
    name: str


@dataclass(frozen=True)
class LearningPlot:
    strokes: tuple[Stroke, ...]
    """the best last, over all others"""
    across: tuple[Tick, ...]
    upright: tuple[Tick, ...]
    rungs: tuple[float, ...]
    """percent from the left"""
    outside: int
    """values beyond the frame"""
    lines_left_out: int


@dataclass(frozen=True)
class DrawnAxis:
    at: float
    """percent from the left"""
    title: str
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class ParallelPlot:
    strokes: tuple[Stroke, ...]
    axes: tuple[DrawnAxis, ...]
    """the objective last"""
    absent: bool
    """whether some line passes below an axis"""
    outside: int
    axes_left_out: int
    lines_left_out: int

    @property
    def width(self) -> str:
        """How much room its axes need at least."""
        return "few" if len(self.axes) <= _FEW_AXES else "some" if len(self.axes) <= _MANY_AXES else "many"


def learning_plot(record: SearchRecord) -> LearningPlot | None:
    """The objective by epoch; None before the first value."""
    numbers = learning_curves(record)
    if numbers is None:
        return None
    told, order = told_trials(record), best_order(record)
    curves = sorted(numbers.curves, key=lambda curve: order[curve.trial])
    kept = curves[:MOST_LINES] + [curve for curve in curves[MOST_LINES:] if curve.baseline]
    named = [curve.best[1] for curve in kept if curve.best and (curve.place or curve.baseline)]
    values = [value for curve in kept for value in curve.values]
    limits = value_limits(values, kept=named)
    return LearningPlot(
        strokes=tuple(_curve(curve, told[curve.trial], numbers.epochs, limits) for curve in reversed(kept)),
        across=_epoch_ticks(numbers.epochs),
        upright=_value_ticks(limits),
        rungs=tuple(_percent(rung / numbers.epochs) for rung in numbers.rungs),
        outside=count_outside(values, limits),
        lines_left_out=len(curves) - len(kept),
    )


def parallel_plot(source: Source) -> ParallelPlot | None:
    """Settings and what they came to; None where nothing was varied among two trials or more."""
    numbers = parallel(source)
    if numbers is None:
        return None
    told = told_trials(source.record)
    kept = numbers.threads[:MOST_LINES]
    objective = Upright(numbers.metric, (), *numbers.limits, log=False)
    uprights = (*numbers.uprights, objective)
    return ParallelPlot(
        strokes=tuple(
            _thread(thread, at, numbers.uprights, numbers.limits, told[thread.trial])
            for at, thread in reversed(list(enumerate(kept)))
        ),
        axes=tuple(_axis(upright, at / len(numbers.uprights)) for at, upright in enumerate(uprights)),
        absent=any(position is None for thread in kept for position in thread.positions),
        outside=count_outside([thread.value for thread in kept], numbers.limits),
        axes_left_out=numbers.axes_left_out,
        lines_left_out=len(numbers.threads) - len(kept),
    )


def best_order(record: SearchRecord) -> dict[str, int]:
    """Top trials first, then by value."""
    return {trial.id: at for at, trial in enumerate(sorted(record.ranked(), key=lambda trial: not trial.eligible))}


def told_trials(record: SearchRecord) -> dict[str, str]:
    """`t0012: lite0, freeze 75% (6/9), mlp 256; 0.763 at epoch 9, complete`."""
    return {
        trial.id: record.say(
            "{trial}: {settings}; {value} at epoch {epoch:g}, {status}",
            trial=trial.id,
            settings=settings(trial),
            value=table.metric(trial.best_value),
            epoch=trial.best_epoch,
            status=trial.status,
        )
        for trial in record.trials
        if trial.best_epoch is not None
    }


def _curve(curve: Curve, told: str, epochs: float, limits: tuple[float, float]) -> Stroke:
    points = [(epoch / epochs, _height(value, limits)) for epoch, value in zip(curve.epochs, curve.values, strict=True)]
    known = [point for point in points if not math.isnan(point[1])]
    best = (curve.best[0] / epochs, _height(curve.best[1], limits)) if curve.best else None
    return Stroke(
        trial=curve.trial,
        told=told,
        path=_path(points),
        look=_look(curve.place, baseline=curve.baseline),
        place=curve.place,
        dot=_dot(best) if best and (curve.place or curve.baseline or len(known) == 1) else "",
        cross=_dot(known[-1]) if curve.halted and known else "",
    )


def _thread(thread: Thread, at: int, uprights: Sequence[Upright], limits: tuple[float, float], told: str) -> Stroke:
    shift = _SHIFT * (2 * ((at * _GOLDEN) % 1) - 1)
    heights = [
        (_ABSENT if position is None else 1 - position) + (shift if position is None or upright.levels else 0.0)
        for position, upright in zip(thread.positions, uprights, strict=True)
    ]
    heights.append(min(max(_height(thread.value, limits), 0.0), 1.0))
    path = _path([(at / len(uprights), height) for at, height in enumerate(heights)])
    return Stroke(thread.trial, told, path, _look(thread.place, unfinished=not thread.finished), thread.place)


def _axis(upright: Upright, at: float) -> DrawnAxis:
    ticks = upright.levels or number_ticks(upright)
    return DrawnAxis(_percent(at), upright.path, tuple(Tick(_percent(1 - height), name) for height, name in ticks))


def _epoch_ticks(epochs: float) -> tuple[Tick, ...]:
    if epochs < _FEW_EPOCHS:
        return tuple(Tick(_percent(tick / epochs), name) for tick, name in style.ticks(0.0, epochs, log=False))
    whole = range(0, math.floor(epochs) + 1, math.ceil(epochs / _MOST_EPOCH_TICKS))
    return tuple(Tick(_percent(tick / epochs), str(tick)) for tick in whole)


def _value_ticks(limits: tuple[float, float]) -> tuple[Tick, ...]:
    return tuple(Tick(_percent(_height(tick, limits)), name) for tick, name in style.ticks(*limits, log=False))


def _look(place: int | None, *, baseline: bool = False, unfinished: bool = False) -> str:
    of_all = f"place-{place}" if place else "of-baseline" if baseline else "of-others"
    return of_all + " unfinished" * unfinished


def _height(value: float, limits: tuple[float, float]) -> float:
    """The share of the height from above."""
    return (limits[1] - value) / (limits[1] - limits[0])


def _percent(share: float) -> float:
    return round(100 * share, 2)


def _path(points: Sequence[Point]) -> str:
    """A line with gaps where there is no value; every second point and so on of a long one, both ends among them."""
    step = math.ceil(len(points) / MOST_POINTS)
    thinned = [point for at, point in enumerate(points) if at % step == 0 or at == len(points) - 1]
    parts, drawing = [], False
    for x, y in thinned:
        if math.isnan(y):
            drawing = False
            continue
        parts.append(f"{'L' if drawing else 'M'}{_at(x)} {_at(y)}")
        drawing = True
    return "".join(parts)


def _dot(point: Point) -> str:
    """A line of no length, which a round cap makes a dot however the square is stretched."""
    return f"M{_at(point[0])} {_at(point[1])}h0"


def _at(share: float) -> int:
    """On the square; what is far beyond it stays near."""
    return round(SIDE * min(max(share, -1.0), 2.0))
