"""The bootstrap over images: the same resamples for every trial, so that what two share cancels in their difference.

Groups are drawn whole, as splits keep them whole: images of one group are no independent evidence.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuner.evidence.predictions import read_predictions
from tuner.evidence.weighted import Floats, Scored, known, weighted_metric
from tuner.store import Store

RESAMPLES = 1000
FEWEST_GROUPS = 10
"""With fewer, resamples say little about other images, and no interval is given."""
FEWEST_DEFINED = 0.5
"""the share of resamples that must have a value for them to tell anything"""
_SEED = 0
_LEVELS = (2.5, 97.5)
_ROUNDING = 1e-12
"""draws that differ by less are equal"""


@dataclass(frozen=True)
class Resampled:
    """A metric of one set of predictions, and of resamples of its images."""

    value: float
    draws: Floats
    """[resamples]; NaN where a resample leaves it undefined"""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % percentile interval; None where it is mostly undefined, or all draws agree, as of a perfect score:
        what never varies among these images may well vary among others."""
        defined = self.draws[~np.isnan(self.draws)]
        if len(defined) < FEWEST_DEFINED * len(self.draws) or np.ptp(defined) < _ROUNDING:
            return None
        low, high = np.percentile(defined, _LEVELS)
        return float(low), float(high)

    @property
    def nothing(self) -> bool:
        """Whether it is a difference that is 0 on whatever images are drawn."""
        return abs(self.value) < _ROUNDING and bool((np.abs(self.draws[~np.isnan(self.draws)]) < _ROUNDING).all())

    def minus(self, other: Resampled) -> Resampled:
        """The difference on the same images and resamples."""
        return Resampled(self.value - other.value, self.draws - other.draws)


@dataclass(frozen=True)
class SplitImages:
    """The images of a split as splits.csv has them."""

    ids: tuple[str, ...]
    groups: npt.NDArray[np.intp]
    """[images], from 0"""

    @property
    def group_count(self) -> int:
        return int(self.groups.max(initial=-1)) + 1

    @cached_property
    def weights(self) -> npt.NDArray[np.uint8]:
        """How often each resample draws each image, [images, resamples]."""
        return draw_weights(self.groups, RESAMPLES)


def draw_weights(groups: npt.NDArray[np.intp], resamples: int) -> npt.NDArray[np.uint8]:
    """Resamples of groups with replacement, as many as there are: [images, resamples], always the same for them."""
    count = int(groups.max()) + 1
    rng = np.random.default_rng(_SEED)
    weights = np.empty((len(groups), resamples), dtype=np.uint8)
    for resample in range(resamples):
        drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        weights[:, resample] = drawn[groups]
    return weights


def read_split(store: Store, split: str) -> SplitImages:
    """A split's images and groups; none where the search has no splits.csv."""
    try:
        with store.splits.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("split") == split]
    except FileNotFoundError:
        rows = []
    ids = tuple(str(row.get("image")) for row in rows)
    # told apart, so that a group called like an image stays its own
    groups = (("group", row["group"]) if row.get("group") else ("image", str(row.get("image"))) for row in rows)
    numbers: dict[tuple[str, str], int] = {}
    return SplitImages(ids, np.array([numbers.setdefault(key, len(numbers)) for key in groups], dtype=np.intp))


def resample(scored: Scored, metric: str, images: SplitImages) -> Resampled:
    """A metric that `weighted.known` knows, of predictions in the order of the split's images."""
    value = weighted_metric(scored, metric, np.ones((len(images.ids), 1)))[0]
    return Resampled(float(value), weighted_metric(scored, metric, images.weights))


class Bootstrap:
    """Resampled metrics of a search's predictions; those of a file are kept until it changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._splits: dict[str, SplitImages] = {}
        self._kept: dict[tuple[Path, str], tuple[tuple[int, int], Resampled | None]] = {}

    def split(self, name: str) -> SplitImages:
        """The images of val or test."""
        if name not in self._splits:
            self._splits[name] = read_split(self._store, name)
        return self._splits[name]

    def resampled(self, name: str, split: str, metric: str) -> Resampled | None:
        """A metric of a trial's, rerun's or reference's predictions.

        None without a file of predictions of exactly the split's images, with too few of them, or for a metric that is
        not one of Thaw's own.
        """
        path = self._store.predictions(name) if split == "val" else self._store.test_predictions(name)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        version = (stat.st_mtime_ns, stat.st_size)
        kept = self._kept.get((path, metric))
        if kept is None or kept[0] != version:
            kept = self._kept[path, metric] = version, self._resample(path, self.split(split), metric)
        return kept[1]

    def _resample(self, path: Path, images: SplitImages, metric: str) -> Resampled | None:
        if images.group_count < FEWEST_GROUPS or not known(metric):
            return None
        saved = read_predictions(path)
        scored = saved.of(images.ids) if saved else None
        return resample(scored, metric, images) if scored else None
