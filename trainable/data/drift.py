"""Whether val and test are like train: sizes, shapes, brightness, contrast, colour modes and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainable.data.looks import Looks
from trainable.data.manifest import Manifest, Problem, Row
from trainable.data.prepared import Scan
from trainable.data.splits import SPLITS

Floats = npt.NDArray[np.float64]

CHANCE = 0.001
"""how often a split dealt by lot may be said to drift, over all that is compared"""
SMALLEST_DISTANCE = 0.1
"""between two distributions (Kolmogorov-Smirnov); less is certain in large sets, and does not matter"""
SMALLEST_RATIO = 1.5
"""between two shares"""


@dataclass(frozen=True)
class Drift:
    """Something of which a split has another distribution, or another share of its images, than train."""

    what: str
    """`pixels`, `aspect`, `brightness`, `contrast`, `mode RGBA`, `label cat`"""
    split: str
    kind: str
    """`median` or `share`: what the two values are"""
    train: float
    there: float
    distance: float
    """between the distributions, 0 to 1: Kolmogorov-Smirnov's, or the difference of the shares"""
    p_value: float
    """by chance alone, in this one comparison"""
    comparisons: int
    """made in all; the p value was judged against 0.001 by their number (Bonferroni)"""


def find_drift(manifest: Manifest, scan: Scan, splits: Mapping[str, str], looks: Looks | None = None) -> list[Drift]:
    """What of val and test is not as in train, by more than chance and by enough to matter.

    Distributions are compared by Kolmogorov-Smirnov, shares by the hypergeometric law, both exact for images dealt by
    lot. Images of a group are alike, so that one image of each group is compared.

    Args:
        looks: of the readable images, in the manifest's order; None: brightness and contrast are not compared
    """
    readable = [row for row in manifest.rows if scan.images[row.image].error is None]
    place = {row.image: at for at, row in enumerate(readable)}
    compared = list({_unit(row, splits[row.image]): row for row in reversed(readable)}.values())
    of_split = np.array([splits[row.image] for row in compared])
    others = [split for split in SPLITS[1:] if split in of_split]
    if "train" not in of_split or not others:
        return []
    values = dict(_values(compared, scan))
    if looks is not None:
        at = np.array([place[row.image] for row in compared])
        values |= {"brightness": looks.brightness[at].mean(axis=1) / 255, "contrast": looks.contrast[at] / 255}
    names, has = _shares(compared, scan, manifest.labels)
    comparisons = len(others) * (len(values) + len(names))
    train = of_split == "train"
    found: list[Drift] = []
    for split in others:
        there = of_split == split
        found += _drifted_values(values, train, there, split, comparisons)
        found += _drifted_shares(names, has, train, there, split, comparisons)
    return found


def _unit(row: Row, split: str) -> tuple[str, str, str]:
    return (split, "group", row.group) if row.group is not None else (split, "image", row.image)


def _values(rows: Sequence[Row], scan: Scan) -> Iterator[tuple[str, Floats]]:
    sizes = np.array([(scan.images[row.image].width, scan.images[row.image].height) for row in rows], dtype=np.float64)
    yield "pixels", sizes.prod(axis=1)
    yield "aspect", sizes[:, 0] / sizes[:, 1]


def _shares(rows: Sequence[Row], scan: Scan, labels: Sequence[str]) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """What an image has or has not, and which has: [images, names]."""
    modes = sorted({scan.images[row.image].mode for row in rows})
    names = [f"mode {mode}" for mode in modes[1:]] + [f"label {label}" for label in labels]
    column = {name: at for at, name in enumerate(names)}
    has = np.zeros((len(rows), len(names)), dtype=bool)
    for at, row in enumerate(rows):
        for name in (f"mode {scan.images[row.image].mode}", *(f"label {label}" for label in row.labels)):
            if name in column:
                has[at, column[name]] = True
    return names, has


def _drifted_values(
    values: Mapping[str, Floats], train: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_], split: str, tests: int
) -> Iterator[Drift]:
    from scipy.stats import ks_2samp

    for what, column in values.items():
        one, other = column[train], column[there]
        found = ks_2samp(one, other)
        if found.pvalue <= CHANCE / tests and found.statistic >= SMALLEST_DISTANCE:
            medians = float(np.median(one)), float(np.median(other))
            yield Drift(what, split, "median", *medians, float(found.statistic), float(found.pvalue), tests)


def _drifted_shares(
    names: Sequence[str],
    has: npt.NDArray[np.bool_],
    train: npt.NDArray[np.bool_],
    there: npt.NDArray[np.bool_],
    split: str,
    tests: int,
) -> Iterator[Drift]:
    from scipy.stats import hypergeom

    of_train, of_there = has[train].sum(axis=0), has[there].sum(axis=0)
    drawn, both = int(there.sum()), int(there.sum() + train.sum())
    law = hypergeom(both, of_train + of_there, drawn)
    p_values = np.minimum(1, 2 * np.minimum(law.cdf(of_there), law.sf(of_there - 1)))
    shares = of_train / train.sum(), of_there / drawn
    for name, one, other, p_value in zip(names, *shares, p_values, strict=True):
        if p_value <= CHANCE / tests and max(one, other) >= SMALLEST_RATIO * min(one, other):
            yield Drift(name, split, "share", float(one), float(other), float(abs(one - other)), float(p_value), tests)


def drift_problems(found: Sequence[Drift]) -> Iterator[Problem]:
    """A warning for each."""
    for drift in found:
        told = f"{drift.what}: {drift.kind} {drift.train:.3g} in train, {drift.there:.3g} in {drift.split}"
        remedy = "scores there may not hold for images like train's; have the split made, or say why they differ"
        yield Problem("warning", "drift", drift.split, f"{told} (p = {drift.p_value:.1g}); {remedy}")
