"""Numbers of the ROC and precision-recall curves of the best trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.report.plots.predictions import Predicted, best_predictions
from tuner.report.plots.source import Source

MOST_POINTS = 600
"""of a curve; more are not seen"""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoreCurve:
    """One label's curve, or that of all decisions pooled."""

    label: str
    x: Floats
    y: Floats
    area: float
    """ROC AUC, or average precision"""


@dataclass(frozen=True)
class CurveFamily:
    """The curves of one kind: pooled over labels, and each label's own."""

    micro: ScoreCurve
    each: tuple[ScoreCurve, ...]
    left_out: tuple[str, ...]
    """labels of which the split has no positive image, or only such"""

    @property
    def macro(self) -> float:
        """The mean area of the labels."""
        return float(np.mean([curve.area for curve in self.each]))

    @property
    def lowest(self) -> ScoreCurve:
        return min(self.each, key=lambda curve: curve.area)


@dataclass(frozen=True)
class RankingCurves:
    """How well the best trial's probabilities rank images."""

    name: str
    trial: str
    split: str
    images: int
    roc: CurveFamily
    """x: false positive rate, y: true positive rate"""
    precision_recall: CurveFamily
    """x: recall, y: precision"""
    prevalence: float
    """share of positives among all decisions: the precision of guessing"""


def ranking_curves(source: Source) -> RankingCurves | None:
    """Both families; None without predictions or without a label that can be told apart."""
    predicted = best_predictions(source)
    told = told_apart(predicted) if predicted else []
    if predicted is None or not told:
        return None
    return RankingCurves(
        name=source.record.name,
        trial=predicted.trial.id,
        split=predicted.split,
        images=predicted.images,
        roc=_family(_roc, predicted, told),
        precision_recall=precision_recall_of(predicted, told),
        prevalence=float(predicted.targets[:, told].mean()),
    )


def told_apart(predicted: Predicted) -> list[int]:
    """Places of the labels of which there are images with and without."""
    positives = predicted.targets.sum(axis=0)
    places: list[int] = np.flatnonzero((positives > 0) & (positives < predicted.images)).tolist()
    return places


def precision_recall_of(predicted: Predicted, told: Sequence[int]) -> CurveFamily:
    """Of any trial's labels at these places, one at least."""
    return _family(_precision_recall, predicted, told)


def _family(
    curve: Callable[[str, npt.NDArray[np.bool_], npt.NDArray[np.float32]], ScoreCurve],
    predicted: Predicted,
    told: Sequence[int],
) -> CurveFamily:
    targets, probabilities = predicted.targets, predicted.probabilities
    micro = curve("micro", targets[:, told].ravel(), probabilities[:, told].ravel())
    each = tuple(curve(predicted.labels[at], targets[:, at], probabilities[:, at]) for at in told)
    return CurveFamily(micro, each, tuple(label for at, label in enumerate(predicted.labels) if at not in told))


def _roc(label: str, targets: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]) -> ScoreCurve:
    from sklearn.metrics import auc, roc_curve

    false_rate, true_rate, _ = roc_curve(targets, scores)
    return ScoreCurve(label, _thinned(false_rate), _thinned(true_rate), float(auc(false_rate, true_rate)))


def _precision_recall(label: str, targets: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]) -> ScoreCurve:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(targets, scores)
    area = float(average_precision_score(targets, scores))
    return ScoreCurve(label, _thinned(recall), _thinned(precision), area)


def _thinned(values: Floats) -> Floats:
    """Evenly chosen points of a long curve, both ends among them."""
    if len(values) <= MOST_POINTS:
        return values
    chosen: Floats = values[np.linspace(0, len(values) - 1, MOST_POINTS).round().astype(int)]
    return chosen
