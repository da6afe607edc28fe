"""Using a trained trial: its model from a checkpoint, its score on test, and labels for new images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from trainable.checkpoint import load_checkpoint
from trainable.classifier import Classifier, build_classifier
from trainable.config import TrialConfig
from trainable.data.decoding import decode
from trainable.data.features import PrefixFeatures
from trainable.errors import UserError
from trainable.evaluation import Evaluation, Evaluator, split_logits
from trainable.freezing import blocks_to_freeze
from trainable.metrics import Objective
from trainable.task import Task
from trainable.train import stage_of
from trainable.weights import Weights, require_weights

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset


@dataclass(frozen=True)
class TrainedModel:
    """A trial's best epoch, ready to predict."""

    classifier: Classifier
    config: TrialConfig
    labels: tuple[str, ...]
    task: Task
    thresholds: tuple[float, ...]
    """per label, as validation gave them; unused in multi-class"""
    device: torch.device

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """`[n, 3, size, size]` in 0..1 -> probabilities `[n, labels]` on the CPU."""
        self.classifier.eval()
        with torch.no_grad():
            logits = self.classifier(images.to(self.device)).float().cpu()
        probabilities: torch.Tensor = logits.sigmoid() if self.task == "multilabel" else logits.softmax(1)
        return probabilities

    def predict(self, paths: Sequence[Path], batch_images: int = 32) -> Iterator[Prediction]:
        """The labels of image files, in order.

        Raises:
            UserError: a file is missing or cannot be decoded.
        """
        for start in range(0, len(paths), batch_images):
            batch = paths[start : start + batch_images]
            pixels = np.stack([_read(path, self.config.image_size) for path in batch])
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
            for path, row in zip(batch, self.probabilities(images), strict=True):
                yield self._decide(path, row.tolist())

    def _decide(self, path: Path, row: list[float]) -> Prediction:
        if self.task == "multilabel":
            chosen = [label for label, p, t in zip(self.labels, row, self.thresholds, strict=True) if p >= t]
        else:
            chosen = [self.labels[int(np.argmax(row))]]
        return Prediction(path, tuple(chosen), dict(zip(self.labels, row, strict=True)))


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image."""

    path: Path
    labels: tuple[str, ...]
    """those at or above their threshold, or the likeliest class"""
    probabilities: dict[str, float]


def _read(path: Path, size: int) -> np.ndarray:
    try:
        decoded = decode(path.read_bytes(), [size])
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if decoded.error:
        raise UserError(f"{path}: {decoded.error}")
    return decoded.pictures[0]


def load_model(checkpoint: Path, device: torch.device, weights: Weights | None = None) -> TrainedModel:
    """The model of a trial's `best.pt`; the frozen blocks come from the pretrained weights that it names.

    Raises:
        UserError: the checkpoint or the pretrained weights are missing, or they are other weights than it trained on.
    """
    saved = load_checkpoint(checkpoint)
    config = TrialConfig.model_validate(saved["config"])
    if config.pretrained and weights is None:
        weights = require_weights([config.backbone])[config.backbone]
    if config.pretrained and weights and weights.sha256 != saved["weights_sha256"]:
        raise UserError(
            f"{weights.path} holds other weights than {checkpoint} was trained on (sha256 {weights.sha256[:12]}, "
            f"not {saved['weights_sha256'][:12]}); put the same file back"
        )
    classifier = build_classifier(config, len(saved["labels"]), weights)
    classifier.load_state_dict(saved["model"], strict=False)
    # evaluated with the boundary of the epoch that was saved: the same prefix function, hence the same numbers
    _, stage = stage_of(config, saved["epoch"])
    freeze = stage.freeze
    assert freeze is not None  # a plan's stages are filled in
    classifier.freeze(blocks_to_freeze(freeze, len(classifier.blocks), config.backbone))
    return TrainedModel(
        classifier.to(device).eval(),
        config,
        tuple(saved["labels"]),
        saved["task"],
        tuple(saved["best"]["thresholds"]),
        device,
    )


def score_test(model: TrainedModel, data: ImageDataset, objective: Objective) -> Evaluation:
    """The model's scores on the test split, decided by the thresholds that validation gave (rule 2)."""
    features = PrefixFeatures(model.classifier, data, model.device)
    logits = split_logits(model.classifier, features, data.split["test"])
    return Evaluator(model.config, data, objective).test(logits, list(model.thresholds))
