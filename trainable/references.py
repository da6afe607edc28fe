"""What a search must beat to be worth it: the label counts alone, and logistic regression on frozen features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from trainable.classifier import build_classifier
from trainable.config import TrialConfig
from trainable.devices import make_deterministic
from trainable.evaluation import Evaluator, predict_all, save_predictions
from trainable.metrics import Objective, scores
from trainable.precision import Precision
from trainable.prefix.features import PrefixFeatures
from trainable.prefix.planner import Sharing
from trainable.weights import Weights

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset

Logits = dict[str, torch.Tensor]
"""split -> `[images, labels]`; of every split but train"""

INVERSE_PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""scikit-learn's C, of which validation chooses one"""
_SMALLEST = 1e-7


@dataclass(frozen=True)
class ReferenceModel:
    """Logits of a classifier that was not searched for."""

    logits: Logits
    description: str


def prevalence(data: ImageDataset) -> ReferenceModel:
    """The share of each label in the training images, whatever the image: in multi-class the majority class."""
    images = len(data.split["train"])
    shares = torch.from_numpy(data.positives("train") / images).clamp(_SMALLEST, 1 - _SMALLEST)
    row = shares.logit() if data.task == "multilabel" else shares.log()
    held_out = {split: len(indices) for split, indices in data.split.items() if split != "train"}
    logits = {split: row.float().repeat(images, 1) for split, images in held_out.items()}
    return ReferenceModel(logits, "the labels' shares in the training images, whatever the image")


def logistic_regression(
    config: TrialConfig,
    data: ImageDataset,
    weights: Weights | None,
    objective: Objective,
    device: torch.device,
    sharing: Sharing | None = None,
    precision: Precision = "fp32",
) -> ReferenceModel:
    """Logistic regression (scikit-learn, one a label in multi-label data) on features of the config's frozen backbone.

    Features are standardised on the training images; the penalty is chosen on validation, by the objective. Trials
    share the features as `sharing` says.
    """
    from sklearn.preprocessing import StandardScaler

    features = _frozen_features(config, data, weights, device, sharing, precision)
    scaler = StandardScaler().fit(features["train"])
    inputs = {split: scaler.transform(found) for split, found in features.items()}
    targets = data.targets[data.split["train"]]
    fitted = {c: _fit(inputs["train"], targets, c, data) for c in INVERSE_PENALTIES}
    values = {c: _value(fit(inputs["val"]), data, objective) for c, fit in fitted.items()}
    sign = 1.0 if objective.direction == "maximize" else -1.0
    best = max(values, key=lambda c: -math.inf if math.isnan(values[c]) else sign * values[c])
    logits = {split: fitted[best](found) for split, found in inputs.items() if split != "train"}
    description = f"scikit-learn on features of frozen {config.backbone}, C {best:g} chosen on validation"
    return ReferenceModel(logits, description)


def _frozen_features(
    config: TrialConfig,
    data: ImageDataset,
    weights: Weights | None,
    device: torch.device,
    sharing: Sharing | None,
    precision: Precision,
) -> dict[str, npt.NDArray[np.float32]]:
    make_deterministic()  # as trials are, with which features are shared
    classifier = build_classifier(config, len(data.labels), weights, precision).to(device)
    classifier.freeze(len(classifier.blocks))
    classifier.eval()
    features = PrefixFeatures(classifier, data, device, sharing)
    return {
        split: torch.cat([batch.float().cpu() for batch in features.batches(images)]).numpy()
        for split, images in data.split.items()
    }


def _fit(inputs: npt.NDArray[Any], targets: npt.NDArray[Any], c: float, data: ImageDataset) -> Any:
    """A function from standardised features to logits `[images, labels]`."""
    from sklearn.linear_model import LogisticRegression

    def model(wanted: npt.NDArray[Any]) -> Any:
        return LogisticRegression(C=c, max_iter=2000).fit(inputs, wanted)

    if data.task == "multiclass":
        fitted = model(targets)

        def class_logits(rows: npt.NDArray[Any]) -> torch.Tensor:
            found = torch.full((len(rows), len(data.labels)), _SMALLEST, dtype=torch.float64).log()
            found[:, torch.from_numpy(fitted.classes_)] = torch.from_numpy(fitted.predict_log_proba(rows)).double()
            return found.float()

        return class_logits
    columns = [model(column) if 0 < column.sum() < len(column) else column[0] for column in targets.T]

    def label_logits(rows: npt.NDArray[Any]) -> torch.Tensor:
        # a label that all training images have, or none, needs no regression
        constant = torch.tensor(_SMALLEST, dtype=torch.float64).logit()
        found = [
            (-constant if column else constant).repeat(len(rows))
            if np.isscalar(column)
            else torch.from_numpy(column.decision_function(rows)).double()
            for column in columns
        ]
        return torch.stack(found, 1).float()

    return label_logits


def _value(logits: torch.Tensor, data: ImageDataset, objective: Objective) -> float:
    targets = torch.from_numpy(data.targets[data.split["val"]])
    return scores(predict_all(logits, targets, data.task), [objective.metric])[objective.metric]


def score_reference(
    model: ReferenceModel, config: TrialConfig, data: ImageDataset, objective: Objective, files: Mapping[str, Path]
) -> dict[str, dict[str, float]]:
    """Metrics by split as a trial of this config has them; its predictions are written to the files of the splits."""
    evaluator = Evaluator(config, data, objective)
    found = {"val": evaluator.validation(model.logits["val"], with_fitted=True)}
    if "test" in model.logits:
        found["test"] = evaluator.test(model.logits["test"], found["val"].thresholds)
    for split, evaluation in found.items():
        save_predictions(files[split], model.logits[split], evaluation.decisions, data, split)
    return {split: evaluation.metrics for split, evaluation in found.items()}
