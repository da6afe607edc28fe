"""What levels of one setting differ by, from values in groups: a group's own height does not count.

Least squares on `value = group + level + error`, groups swept out by centring. Complete groups make it the randomised
complete block design; two levels make it the paired t-test; a single group makes it a one-way comparison of means.
Groups that lack levels are used for what they have.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tuner.conclusions.runs import Level

Array = NDArray[np.float64]
Cell = tuple[Hashable, Level, float]
"""group, level, value"""

CONFIDENCE = 0.95
_TINY = 1e-9


@dataclass(frozen=True)
class Contrast:
    """A level against another one, or against the mean of the others."""

    level: Level
    against: Level | None
    """None: the mean of all other levels"""
    difference: float
    error: float | None = None
    """standard error; None (as the interval) where there is nothing to tell it from"""
    low: float | None = None
    high: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class _Fit:
    levels: tuple[Level, ...]
    effects: Array
    """[levels]"""
    spread: Array
    """[levels, levels], covariance of the effects over the error's variance"""
    joined: NDArray[np.bool_]
    """[levels, levels], whether groups link two levels, so that their difference can be told"""
    variance: float
    """of the error"""
    degrees: int
    """of freedom of the variance"""
    floors: Array
    """[levels], variance that the effects have at least"""


def level_contrasts(
    cells: Sequence[Cell], levels: Sequence[Level], grain: float = 0.0, floors: Mapping[Level, float] | None = None
) -> list[Contrast]:
    """Each of two levels' difference, or each of several against the mean of those that groups link it to.

    Two levels: one contrast, the second minus the first. More: one each, with intervals that hold together
    (Bonferroni). A level that shares no group with another has none.

    Args:
        cells: values, at most one a group and level unless there is a single group
        levels: in the order wanted
        grain: the step in which values come; errors are taken to be no smaller than rounding to it makes them
        floors: variance that a level's mean has at least, whatever the groups say
    """
    fit = _fit(cells, levels, grain, floors or {})
    if len(levels) == 2:
        weights = np.array([-1.0, 1.0])
        return [_contrast(fit, levels[1], levels[0], weights, 1)] if fit.joined[0, 1] else []
    linked = [at for at in range(len(levels)) if fit.joined[at].sum() > 1]
    return [_contrast(fit, levels[at], None, _against_others(fit, at), len(linked)) for at in linked]


def _against_others(fit: _Fit, at: int) -> Array:
    others = fit.joined[at].copy()
    others[at] = False
    weights: Array = -others.astype(np.float64) / others.sum()
    weights[at] = 1.0
    return weights


def with_welch(contrast: Contrast, values: Sequence[float], others: Sequence[float], grain: float) -> Contrast:
    """A pair's difference with the interval of Welch's t-test (Biometrika 1947), from two equal runs or more a level.

    Args:
        values: of the equal runs with the level
        others: with the level that it is held against
        grain: as for `level_contrasts`
    """
    from scipy.special import stdtrit

    counts = np.array([len(values), len(others)])
    variances = np.maximum([np.var(values, ddof=1), np.var(others, ddof=1)], grain**2 / 12) / counts
    degrees = variances.sum() ** 2 / (variances**2 / (counts - 1)).sum()
    error = float(np.sqrt(variances.sum()))
    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * error
    return replace(contrast, error=error, low=contrast.difference - half, high=contrast.difference + half)


def unshared_variance(cells: Sequence[Cell]) -> float | None:
    """Variance of values beyond what their level and their group have in common; None where nothing tells it."""
    fit = _fit(cells, list(dict.fromkeys(level for _, level, _ in cells)), 0.0, {})
    return float(fit.variance) if fit.degrees > 0 else None


def _fit(cells: Sequence[Cell], levels: Sequence[Level], grain: float, floors: Mapping[Level, float]) -> _Fit:
    at = {level: index for index, level in enumerate(levels)}
    number: Mapping[Hashable, int] = {group: n for n, group in enumerate(dict.fromkeys(group for group, _, _ in cells))}
    groups = np.array([number[group] for group, _, _ in cells])
    values = np.array([value for _, _, value in cells], dtype=np.float64)
    design = np.zeros((len(cells), len(levels)))
    design[np.arange(len(cells)), [at[level] for _, level, _ in cells]] = 1.0
    centred, design = _centred(values[:, None], groups)[:, 0], _centred(design, groups)

    normal = design.T @ design
    spread = np.asarray(np.linalg.pinv(normal, rcond=_TINY, hermitian=True), dtype=np.float64)
    effects: Array = spread @ (design.T @ centred)
    # The projection onto differences that can be told is I - 1/m within each linked set of m levels and 0 across.
    projection = spread @ normal
    degrees = len(cells) - len(number) - round(float(np.trace(projection)))
    squares = float(np.square(centred - design @ effects).sum())
    variance = max(squares / degrees, grain**2 / 12) if degrees > 0 else np.nan
    joined = (np.abs(projection) > _TINY) | np.eye(len(levels), dtype=np.bool_)
    at_least = np.array([floors.get(level, 0.0) for level in levels])
    return _Fit(tuple(levels), effects, spread, joined, variance, degrees, at_least)


def _centred(columns: Array, groups: NDArray[np.int_]) -> Array:
    """Columns [rows, n] minus their means over each group."""
    sums = np.zeros((groups.max() + 1, columns.shape[1]))
    np.add.at(sums, groups, columns)
    means = sums / np.bincount(groups)[:, None]
    result: Array = columns - means[groups]
    return result


def _contrast(fit: _Fit, level: Level, against: Level | None, weights: Array, together: int) -> Contrast:
    difference = float(weights @ fit.effects)
    if fit.degrees <= 0:
        return Contrast(level, against, difference)
    from scipy.special import stdtrit  # Student's t by its quantiles; scipy takes a second to import

    variance = max(fit.variance * (weights @ fit.spread @ weights), np.square(weights) @ fit.floors)
    error = float(np.sqrt(variance))
    half = float(stdtrit(fit.degrees, 1 - (1 - CONFIDENCE) / 2 / together)) * error
    return Contrast(level, against, difference, error, difference - half, difference + half)
