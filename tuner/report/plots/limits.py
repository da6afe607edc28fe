"""The range of values worth a picture: one diverged trial must not flatten all the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

_WIDTHS = 4.0
"""of the interquartile range, beyond which a value is left outside"""
_FEWEST = 8
"""values below which nothing counts as an outlier"""
_STRETCH = 2.0
"""how much wider a range may get by its outliers"""
_MARGIN = 0.05


def value_limits(values: Iterable[float | None], kept: Sequence[float | None] = ()) -> tuple[float, float]:
    """The lowest and highest value to show, with a margin; (0, 1) where there is nothing to show.

    Values further than four interquartile ranges from the middle half are left outside, except those in `kept`, where
    they would take more than half of the picture.
    """
    found = _finite(values)
    must = _finite(kept)
    if not len(found) and not len(must):
        return 0.0, 1.0
    inside = found
    if len(found) >= _FEWEST:
        first, third = np.percentile(found, [25, 75])
        reach = _WIDTHS * (third - first)
        if reach > 0:
            inside = found[(found >= first - reach) & (found <= third + reach)]
    shown, everything = np.concatenate([inside, must]), np.concatenate([found, must])
    if np.ptp(everything) <= _STRETCH * np.ptp(shown):
        shown = everything
    low, high = float(shown.min()), float(shown.max())
    margin = _MARGIN * (high - low) or max(abs(low), 1.0) * _MARGIN
    return low - margin, high + margin


def count_outside(values: Iterable[float | None], limits: tuple[float, float]) -> int:
    """How many values the limits leave out."""
    found = _finite(values)
    return int(((found < limits[0]) | (found > limits[1])).sum())


def _finite(values: Iterable[float | None]) -> np.ndarray:
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return found[np.isfinite(found)]
