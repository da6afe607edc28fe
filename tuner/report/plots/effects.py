"""Numbers of each axis's effect: the objective by the axis's value."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.plots.axes import SearchedAxis, searched_axes
from tuner.report.plots.limits import value_limits
from tuner.report.plots.source import Source, places

_MOST_PAIRED = 60
"""trials up to which pairs are connected"""
_BINS = 4
_FEWEST_A_BIN = 3

XY = tuple[float, float]


@dataclass(frozen=True)
class Dot:
    """A trial on one axis."""

    trial: str
    x: float
    value: float
    place: int | None
    finished: bool


@dataclass(frozen=True)
class Mean:
    """The mean of some finished trials."""

    x: float
    value: float
    trials: int


@dataclass(frozen=True)
class Panel:
    """One axis; of `freeze`, with one backbone."""

    path: str
    stratum: str
    levels: tuple[str, ...]
    log: bool
    dots: tuple[Dot, ...]
    means: tuple[Mean, ...]
    """of finished trials within the limits: a level each, or of equally many neighbours each on an axis of numbers"""
    pairs: tuple[tuple[XY, XY], ...]
    """finished trials that differ on this axis alone"""


@dataclass(frozen=True)
class Effects:
    """A panel an axis."""

    name: str
    metric: str
    direction: str
    panels: tuple[Panel, ...]
    limits: tuple[float, float]
    """of the objective"""
    caveat: str
    """why differences are associations and no effects; empty where every trial had the same chance"""


def effects(source: Source) -> Effects | None:
    """None where fewer than two trials have a value, or nothing was varied among them."""
    record = source.record
    trials = record.ranked()
    found = places(record)
    top = [trial.best_value for trial in trials if trial.id in found]
    limits = value_limits([trial.best_value for trial in trials], kept=top)
    dots = {
        trial.id: Dot(trial.id, 0.0, trial.best_value, found.get(trial.id), trial.eligible)
        for trial in trials
        if trial.best_value is not None
    }
    axes = searched_axes(source, trials)
    panels = tuple(
        _panel(axis, stratum, here, dots, limits) for axis in axes for stratum, here in _strata(axis, trials)
    )
    if not panels:
        return None
    return Effects(record.name, record.metric, record.direction, panels, limits, _caveat(record))


def _strata(axis: SearchedAxis, trials: Sequence[TrialRecord]) -> list[tuple[str, list[TrialRecord]]]:
    """The axis's trials; those of `freeze` by backbone: six blocks are not the same share of every one."""
    strata: dict[str, list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        if trial.id in axis.values:
            strata[table.short(trial.config.get("backbone")) if axis.path == "freeze" else ""].append(trial)
    return sorted(strata.items()) if len(strata) > 1 else [("", members) for members in strata.values()]


def _panel(
    axis: SearchedAxis,
    stratum: str,
    trials: Sequence[TrialRecord],
    known: Mapping[str, Dot],
    limits: tuple[float, float],
) -> Panel:
    dots = tuple(replace(known[trial.id], x=axis.values[trial.id]) for trial in trials)
    fair = [dot for dot in dots if dot.finished and limits[0] <= dot.value <= limits[1]]
    means = _level_means(fair) if axis.levels else _running_means(fair, axis.log)
    pairs = _pairs(axis, trials) if len(trials) <= _MOST_PAIRED else ()
    return Panel(axis.path, stratum, axis.levels, axis.log, dots, tuple(means), tuple(pairs))


def _level_means(dots: Sequence[Dot]) -> Iterator[Mean]:
    for x in sorted({dot.x for dot in dots}):
        values = [dot.value for dot in dots if dot.x == x]
        yield Mean(x, float(np.mean(values)), len(values))


def _running_means(dots: Sequence[Dot], log: bool) -> Iterator[Mean]:
    """Means of up to four runs of equally many neighbours, three trials each at least."""
    bins = min(_BINS, len(dots) // _FEWEST_A_BIN)
    if bins < 2:
        return
    for part in np.array_split(np.array(sorted((dot.x, dot.value) for dot in dots)), bins):
        xs = np.log(part[:, 0]) if log else part[:, 0]
        x = float(np.exp(xs.mean())) if log else float(xs.mean())
        yield Mean(x, float(part[:, 1].mean()), len(part))


def _pairs(axis: SearchedAxis, trials: Sequence[TrialRecord]) -> Iterator[tuple[XY, XY]]:
    """Neighbours along the axis among finished trials that agree in every other setting."""
    alike: dict[str, list[XY]] = defaultdict(list)
    for trial in trials:
        if trial.eligible and trial.best_value is not None:
            others = {path: value for path, value in trial.params.items() if path != axis.path}
            key = json.dumps(others, sort_keys=True, default=str)
            alike[key].append((axis.values[trial.id], trial.best_value))
    for members in alike.values():
        for one, other in pairwise(sorted(members)):
            if one[0] != other[0]:
                yield one, other


def _caveat(record: SearchRecord) -> str:
    reasons = []
    if record.sampler == "tpe":
        reasons.append("promising settings were tried more often")
    if any(trial.status == "pruned" or trial.halted_at for trial in record.trials):
        reasons.append("halving left out weak starters")
    return "associations, not effects: " + ", ".join(reasons) if reasons else ""
