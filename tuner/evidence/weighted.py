"""Metrics of images that count more than once: those of trainable.metrics, in NumPy, for many resamples at a time.

A bootstrap resample draws some images twice and some not at all, which is a weight an image. With every weight 1 the
values are those of `trainable.metrics.scores`; with others those of scikit-learn's `sample_weight`. The conventions
are the same: a label without a positive in a resample is left out of means over labels, what is undefined is NaN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainable.metrics import AVERAGES

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Singles = npt.NDArray[np.float32]
Columns = Singles
"""weights [n, resamples]"""

_CHUNK_BYTES = 1 << 26
_F_BETA = re.compile(r"f\d+(\.\d+)?")


@dataclass(frozen=True)
class Scored:
    """What was said of a split's images, and what is true of them."""

    probabilities: Singles
    """[images, labels]"""
    decisions: npt.NDArray[np.bool_]
    """[images, labels]"""
    targets: npt.NDArray[np.bool_]
    """[images, labels]"""
    losses: Floats
    """[images], unweighted and unsmoothed; their mean is the metric `loss`"""


def known(metric: str) -> bool:
    """Whether `weighted_metric` can compute it; a plugin's own metric it cannot."""
    base, average = _parts(metric)
    bases = (*_COUNTED, *_RANKED) if average else _BY_IMAGE
    return base in bases or (average != "" and _F_BETA.fullmatch(base) is not None)


def weighted_metric(scored: Scored, metric: str, weights: npt.NDArray[Any]) -> Floats:
    """A metric under each of many weightings.

    Args:
        scored: of n images
        metric: a name that `known` knows
        weights: [n, resamples], how often an image counts

    Returns:
        [resamples]; NaN where the metric is undefined
    """
    base, average = _parts(metric)
    rows = scored.targets.size if base in _RANKED and average == "micro" else len(scored.targets)
    score = _scorer(scored, base, average)
    return np.concatenate([score(chunk) for chunk in _chunks(weights, rows)])


def _parts(metric: str) -> tuple[str, str]:
    """`f2_macro` -> `f2`, `macro`; `loss` -> `loss`, nothing."""
    base, _, average = metric.rpartition("_")
    return (base, average) if average in AVERAGES else (metric, "")


def _chunks(weights: npt.NDArray[Any], rows: int) -> Iterator[Columns]:
    """Columns that fit into memory when `rows` of them are gathered at once."""
    columns = max(1, _CHUNK_BYTES // (4 * max(rows, 1)))
    for start in range(0, weights.shape[1], columns):
        yield weights[:, start : start + columns].astype(np.float32)


Score = Callable[[Columns], Floats]


def _scorer(scored: Scored, base: str, average: str) -> Score:
    """The metric as a function of weights, with what does not depend on them computed once."""
    if not average:
        values = _BY_IMAGE[base](scored)
        return lambda weights: _mean_of_images(values, weights)
    if average == "samples":
        values = _of_each_image(scored, base)
        return lambda weights: _mean_of_images(values, weights)
    of_labels = _ranked(scored, base, average) if base in _RANKED else _counted(scored, base, average)
    return lambda weights: _mean_of_labels(*of_labels(weights), average)


_BY_IMAGE: dict[str, Callable[[Scored], Floats]] = {
    "loss": lambda scored: scored.losses,
    "accuracy": lambda scored: (scored.decisions == scored.targets).all(axis=1).astype(np.float64),
}


def _mean_of_images(values: Floats, weights: Columns) -> Floats:
    """The weighted mean of what is defined."""
    defined = ~np.isnan(values)
    counted = weights[defined].astype(np.float64)
    totals: Floats = values[defined] @ counted
    return _divide(totals, counted.sum(axis=0), undefined=np.nan)


def _mean_of_labels(values: Floats, positives: Floats, average: str) -> Floats:
    """[resamples, labels] -> [resamples]: over labels with a positive, or all images and labels as one (micro)."""
    if average == "micro":
        return values[:, 0]
    counts = (positives > 0) & ~np.isnan(values)
    importance = counts * positives if average == "weighted" else counts.astype(np.float64)
    return _divide((np.where(counts, values, 0.0) * importance).sum(axis=1), importance.sum(axis=1), undefined=np.nan)


def _divide(above: Floats, below: Floats, undefined: float) -> Floats:
    quotient: Floats = np.divide(above, below, out=np.full(np.shape(above), undefined), where=below > 0)
    return quotient


# Metrics of decisions: true positives, predicted positives and positives are sums over images.

LabelScores = Callable[[Columns], tuple[Floats, Floats]]
"""weights [n, resamples] -> values and positives, both [resamples, labels]"""

_COUNTED = ("precision", "recall")


def _counted(scored: Scored, base: str, average: str) -> LabelScores:
    matrices = [scored.decisions & scored.targets, scored.decisions, scored.targets]
    if average == "micro":
        matrices = [matrix.sum(axis=1, keepdims=True) for matrix in matrices]
    hits, predicted, positives = (matrix.astype(np.float32) for matrix in matrices)

    def score(weights: Columns) -> tuple[Floats, Floats]:
        # exact in single precision: whole numbers far below 2**24
        found, said, true = ((weights.T @ matrix).astype(np.float64) for matrix in (hits, predicted, positives))
        return _of_counts(base, found, said, true), true

    return score


def _of_counts(base: str, hits: Floats, predicted: Floats, positives: Floats) -> Floats:
    """Precision, recall or F-beta; 0 where it would be 0 / 0, as trainable.metrics has it."""
    if base == "precision":
        return _divide(hits, predicted, undefined=0.0)
    if base == "recall":
        return _divide(hits, positives, undefined=0.0)
    squared = float(base[1:]) ** 2
    return _divide((1 + squared) * hits, squared * positives + predicted, undefined=0.0)


def _of_each_image(scored: Scored, base: str) -> Floats:
    """A metric of every image over its labels, [images]."""
    if base not in _RANKED:
        matrices = (scored.decisions & scored.targets, scored.decisions, scored.targets)
        return _of_counts(base, *(matrix.sum(axis=1).astype(np.float64) for matrix in matrices))
    once = np.ones((scored.targets.shape[1], 1), dtype=np.float32)
    rows = zip(scored.probabilities, scored.targets, strict=True)
    values = np.array([_Ranking.of(said, true).area(base, once)[0] for said, true in rows])
    # as scikit-learn does: an image without a label has an average precision of 0
    return np.nan_to_num(values, nan=0.0) if base == "average_precision" else values


# Metrics of rankings: areas under curves.

_RANKED = ("average_precision", "roc_auc")


def _ranked(scored: Scored, base: str, average: str) -> LabelScores:
    images, labels = scored.targets.shape
    if average == "micro":
        of_pairs = _Ranking.of(scored.probabilities.ravel(), scored.targets.ravel(), np.arange(images).repeat(labels))
        return lambda weights: (of_pairs.area(base, weights)[:, None], np.empty((weights.shape[1], 0)))
    rankings = [_Ranking.of(scored.probabilities[:, label], scored.targets[:, label]) for label in range(labels)]
    targets = scored.targets.astype(np.float32)

    def score(weights: Columns) -> tuple[Floats, Floats]:
        areas = np.stack([ranking.area(base, weights) for ranking in rankings], axis=1)
        return areas, (weights.T @ targets).astype(np.float64)

    return score


@dataclass(frozen=True)
class _Ranking:
    """Items by falling score, cut into runs of equal scores that hold a positive and what lies between them."""

    order: Indices
    """[items], rows of the weights"""
    cuts: Indices
    """where runs begin, the first at 0"""
    mixed: Indices
    """the runs that hold a positive"""
    positives: Indices
    """[positives], rows of the weights in order"""
    first: Indices
    """the first positive of each mixed run"""

    @classmethod
    def of(
        cls, scores: npt.NDArray[np.float32], targets: npt.NDArray[np.bool_], rows: Indices | None = None
    ) -> _Ranking:
        """From [items]; `rows` are the rows of the weights that items have, their own by default."""
        order = np.argsort(-scores, kind="stable")
        falling, hits = scores[order], np.flatnonzero(targets[order])
        starts = np.searchsorted(-falling, -falling[hits], side="left")
        ends = np.searchsorted(-falling, -falling[hits], side="right")
        cuts = np.union1d([0], np.concatenate([starts, ends[ends < len(order)]]))
        mixed, first = np.unique(np.searchsorted(cuts, starts), return_index=True)
        of_items = order if rows is None else rows[order]
        return cls(of_items, cuts.astype(np.intp), mixed, of_items[hits], first)

    def area(self, base: str, weights: Columns) -> Floats:
        """Average precision or the area under the ROC curve under weights [n, resamples]; NaN without both sides."""
        if not len(self.positives):
            return np.full(weights.shape[1], np.nan)
        in_runs = np.add.reduceat(weights[self.order], self.cuts, axis=0).astype(np.float64)
        passed = in_runs.cumsum(axis=0)
        hits = np.add.reduceat(weights[self.positives], self.first, axis=0).astype(np.float64)
        hits_passed = hits.cumsum(axis=0)
        positives, everything = hits_passed[-1], passed[-1]
        if base == "average_precision":
            precision = _divide(hits_passed, passed[self.mixed], undefined=0.0)
            return _divide((hits * precision).sum(axis=0), positives, undefined=np.nan)
        negatives = everything - positives
        tied = in_runs[self.mixed] - hits
        below = negatives - (passed[self.mixed] - hits_passed) + tied / 2
        return _divide((hits * below).sum(axis=0), positives * negatives, undefined=np.nan)
