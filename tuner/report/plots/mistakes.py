"""Numbers of the best trial's mistakes: which classes it confuses, or how each label of several does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.report.plots.predictions import Predicted, best_predictions
from tuner.report.plots.source import Source

MOST_CLASSES = 30
"""of a matrix that can be read; beyond, the most confused pairs are shown"""
MOST_PAIRS = 20
MOST_LABELS = 40


@dataclass(frozen=True)
class Confusion:
    """Images by true class (rows) and predicted class (columns), of the best trial."""

    name: str
    trial: str
    split: str
    labels: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Of each true class; 0 for a class without images."""
        shares: npt.NDArray[np.float64] = self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        return shares

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.counts) / max(self.counts.sum(), 1))

    @property
    def pairs(self) -> list[tuple[str, str, int, float]]:
        """True class, predicted class, images, share of the true class; most images first, at most 20."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
        cells = [divmod(int(at), len(self.labels)) for at in order]
        return [
            (self.labels[row], self.labels[column], int(wrong[row, column]), float(self.shares[row, column]))
            for row, column in cells
            if wrong[row, column]
        ]


@dataclass(frozen=True)
class LabelScore:
    """How one label of several does; scores are None where the split has no positive of it."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    positives: int
    threshold: float


@dataclass(frozen=True)
class LabelScores:
    """Labels by F1, best first, those without a positive last."""

    name: str
    trial: str
    split: str
    images: int
    fitted: bool
    """thresholds were fitted on validation, not all 0.5"""
    labels: tuple[LabelScore, ...]
    left_out: int
    """labels of the middle that are not shown where there are too many"""


def confusion(source: Source) -> Confusion | None:
    """Multi-class only; None for other tasks and without predictions."""
    predicted = best_predictions(source) if source.record.task == "multiclass" else None
    return confusion_of(source.record.name, predicted) if predicted else None


def confusion_of(name: str, predicted: Predicted) -> Confusion:
    """Of any trial of this search; each of its images has one class."""
    truth, said = predicted.targets.argmax(axis=1), predicted.decisions.argmax(axis=1)
    counts = np.zeros((len(predicted.labels),) * 2, dtype=np.int64)
    np.add.at(counts, (truth, said), 1)
    return Confusion(name, predicted.trial.id, predicted.split, predicted.labels, counts)


def label_scores(source: Source) -> LabelScores | None:
    """Multi-label only; None for other tasks and without predictions."""
    predicted = best_predictions(source) if source.record.task == "multilabel" else None
    if predicted is None:
        return None
    rows = scores_of(predicted)
    left_out = max(len(rows) - MOST_LABELS, 0)
    if left_out:
        rows[MOST_LABELS // 2 : MOST_LABELS // 2 + left_out] = []
    return LabelScores(
        name=source.record.name,
        trial=predicted.trial.id,
        split=predicted.split,
        images=predicted.images,
        fitted=predicted.trial.config.get("thresholds") == "fitted",
        labels=tuple(rows),
        left_out=left_out,
    )


def scores_of(predicted: Predicted) -> list[LabelScore]:
    """Every label of any trial, by F1, best first, those without a positive last."""
    hits = (predicted.targets & predicted.decisions).sum(axis=0)
    positives, said = predicted.targets.sum(axis=0), predicted.decisions.sum(axis=0)
    precision = hits / np.maximum(said, 1)
    recall = hits / np.maximum(positives, 1)
    f1 = 2 * hits / np.maximum(positives + said, 1)
    rows = [
        LabelScore(
            label=label,
            precision=float(precision[at]) if positives[at] else None,
            recall=float(recall[at]) if positives[at] else None,
            f1=float(f1[at]) if positives[at] else None,
            positives=int(positives[at]),
            threshold=threshold,
        )
        for at, (label, threshold) in enumerate(zip(predicted.labels, _thresholds(predicted), strict=True))
    ]
    return sorted(rows, key=lambda row: -1.0 if row.f1 is None else row.f1, reverse=True)


def _thresholds(predicted: Predicted) -> list[float]:
    given = predicted.trial.best_details.get("thresholds")
    if isinstance(given, list | tuple) and len(given) == len(predicted.labels):
        return [float(threshold) for threshold in given]
    return [0.5] * len(predicted.labels)
