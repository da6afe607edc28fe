"""What a classifier scores on a split, and the file of its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from trainable.classifier import Classifier
from trainable.config import TrialConfig
from trainable.disk import whole_file
from trainable.losses import unweighted_loss
from trainable.metrics import REPORTED, Objective, Predictions, label_scores, scores
from trainable.prefix.features import BATCH_IMAGES, PrefixFeatures
from trainable.task import Task
from trainable.thresholds import cross_fitted_decisions, fit_thresholds, validation_folds

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset


@dataclass(frozen=True)
class Evaluation:
    """Scores of one split."""

    value: float
    """the objective"""
    metrics: dict[str, float]
    thresholds: list[float]
    """per label; those that decide, all 0.5 unless fitted"""
    per_label: dict[str, dict[str, float]]
    labels_left_out: list[str]
    """labels without a positive in the split, left out of means over labels"""
    decisions: npt.NDArray[np.uint8]
    """`[n, labels]` of 0 and 1: what the metrics were computed on"""


EVALUATED_FOR_TRAINED = 4
"""images that pass the suffix at once in evaluation for each that does in training: they need no gradients"""


def split_logits(
    classifier: Classifier, features: PrefixFeatures, images: npt.NDArray[np.int64], trained_at_once: int = BATCH_IMAGES
) -> torch.Tensor:
    """Logits `[n, labels]` of plain views, on the CPU.

    `trained_at_once`: images that pass the suffix together in training, which say how many its memory can hold here.
    """
    classifier.eval()
    at_once = evaluated_at_once(trained_at_once)
    with torch.no_grad():
        parts = (part for batch in features.batches(images) for part in torch.split(batch, at_once))
        # one copy at the end: the host does not wait for each batch
        return torch.cat([classifier.suffix(part) for part in parts]).float().cpu()


def evaluated_at_once(trained_at_once: int) -> int:
    """Images that pass the suffix together where nothing is trained, for so many that do in training."""
    return min(BATCH_IMAGES, EVALUATED_FOR_TRAINED * trained_at_once)


class Evaluator:
    """Scores logits of one data set as one config and objective want it."""

    def __init__(self, config: TrialConfig, data: ImageDataset, objective: Objective) -> None:
        self._config = config
        self._data = data
        self._objective = objective
        self._names = list(dict.fromkeys([*REPORTED, objective.metric]))

    def validation(self, logits: torch.Tensor, *, with_fitted: bool) -> Evaluation:
        """Scores of validation logits. `with_fitted` adds the objective @0.5 and @fitted where thresholds change it.

        With `thresholds: fitted` the scores are cross-fitted (rule 2) and the thresholds fitted on all images.
        """
        predictions = self._predictions(logits, self._data.split["val"])
        halves = self._objective_of(predictions)
        extra: dict[str, float] = {}
        thresholds = [0.5] * len(self._data.labels)
        fits = self._config.thresholds == "fitted"
        if self._data.task == "multilabel" and (fits or (with_fitted and self._objective.on_decisions)):
            fitted = self._cross_fitted(predictions)
            if self._objective.on_decisions:
                metric = self._objective.metric
                extra = {f"{metric}@0.5": halves, f"{metric}@fitted": self._objective_of(fitted)}
            if fits:
                predictions = fitted
                thresholds = fit_thresholds(*_arrays(predictions), self._objective.beta).tolist()
        return self._evaluation(predictions, extra, thresholds)

    def test(self, logits: torch.Tensor, thresholds: list[float]) -> Evaluation:
        """Scores of test logits, decided by thresholds that validation gave."""
        predictions = self._predictions(logits, self._data.split["test"])
        if self._data.task == "multilabel":
            decisions = predictions.probabilities.double() >= torch.tensor(thresholds, dtype=torch.float64)
            predictions = _decided(predictions, decisions.int())
        return self._evaluation(predictions, {}, thresholds)

    def _evaluation(self, predictions: Predictions, extra: dict[str, float], thresholds: list[float]) -> Evaluation:
        found = scores(predictions, self._names)
        left_out = [label for label, here in zip(self._data.labels, predictions.present, strict=True) if not here]
        per_label = label_scores(predictions, self._data.labels)
        decisions = predictions.decisions.numpy().astype(np.uint8)
        return Evaluation(found[self._objective.metric], found | extra, thresholds, per_label, left_out, decisions)

    def _objective_of(self, predictions: Predictions) -> float:
        return scores(predictions, [self._objective.metric])[self._objective.metric]

    def _predictions(self, logits: torch.Tensor, images: npt.NDArray[np.int64]) -> Predictions:
        targets = torch.from_numpy(self._data.targets[images])
        return predict_all(logits, targets, self._data.task)

    def _cross_fitted(self, predictions: Predictions) -> Predictions:
        probabilities, targets = _arrays(predictions)
        decisions = cross_fitted_decisions(probabilities, targets, self._folds, self._objective.beta)
        return _decided(predictions, torch.from_numpy(decisions).int())

    @cached_property
    def _folds(self) -> npt.NDArray[np.int64]:
        images = self._data.split["val"]
        targets = self._data.targets[images].astype(np.int64)
        return validation_folds(targets, self._data.groups[images], self._data.data_seed)


def predict_all(logits: torch.Tensor, targets: torch.Tensor, task: Task) -> Predictions:
    """Probabilities and decisions (at 0.5, or the likeliest class) beside the targets, as indicator matrices."""
    loss = float(unweighted_loss(logits, targets, task))
    if task == "multilabel":
        probabilities = logits.sigmoid()
        return Predictions(probabilities, (probabilities >= 0.5).int(), targets.int(), loss)
    labels = logits.shape[1]
    one_hot = torch.nn.functional.one_hot
    return Predictions(logits.softmax(1), one_hot(logits.argmax(1), labels).int(), one_hot(targets, labels).int(), loss)


def _decided(predictions: Predictions, decisions: torch.Tensor) -> Predictions:
    return Predictions(predictions.probabilities, decisions, predictions.targets, predictions.loss)


def _arrays(predictions: Predictions) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    return predictions.probabilities.double().numpy(), predictions.targets.long().numpy()


def save_predictions(
    path: Path, logits: torch.Tensor, decisions: npt.NDArray[np.uint8], data: ImageDataset, split: str
) -> None:
    """Write a split's logits and decisions, both `[n, labels]`, with image ids, targets and label names.

    A writer that is killed or fails leaves no half.

    Raises:
        OSError: it cannot be written.
    """
    images = data.split[split]
    with whole_file(path) as file:
        np.savez(
            file,
            logits=logits.numpy(),
            decisions=decisions,
            targets=data.targets[images],
            ids=np.array([data.ids[image] for image in images]),
            labels=np.array(data.labels),
        )
