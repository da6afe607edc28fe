"""Using a trained trial: its model from a checkpoint, its score on test, and labels for new images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from trainable.checkpoint import load_checkpoint
from trainable.classifier import Classifier, build_classifier
from trainable.config import TrialConfig
from trainable.devices import make_deterministic
from trainable.errors import UserError
from trainable.evaluation import Evaluation, Evaluator, save_predictions, split_logits
from trainable.freezing import blocks_to_freeze
from trainable.labelling import BATCH_IMAGES, Pixels, Prediction, label_files
from trainable.metrics import Objective
from trainable.precision import Precision
from trainable.prefix.features import PrefixFeatures
from trainable.prefix.planner import Sharing
from trainable.stages import stage_of
from trainable.task import Task
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
            return likelihoods(self.classifier(images.to(self.device)).float().cpu(), self.task)

    def answer(self, pixels: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """uint8 `[n, size, size, 3]` -> probabilities and decisions, both `[n, labels]`."""
        probabilities = self.probabilities(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
        decisions = decide(probabilities, torch.tensor(self.thresholds, dtype=torch.float64), self.task)
        return probabilities.numpy(), decisions.numpy()

    def predict(self, paths: Sequence[Path], batch_images: int = BATCH_IMAGES) -> Iterator[Prediction]:
        """The labels of image files, in order.

        Raises:
            UserError: a file is missing or cannot be decoded.
        """
        return label_files(paths, self.labels, self.config.image_size, self.answer, batch_images)


def likelihoods(logits: torch.Tensor, task: Task) -> torch.Tensor:
    """Logits `[n, labels]` -> probabilities: of each label by itself, or of all classes together."""
    return logits.sigmoid() if task == "multilabel" else logits.softmax(1)


def decide(probabilities: torch.Tensor, thresholds: torch.Tensor, task: Task) -> torch.Tensor:
    """uint8 `[n, labels]`: 1 for labels at or above their float64 threshold `[labels]`, or for the likeliest class."""
    if task == "multilabel":
        return (probabilities.double() >= thresholds).to(torch.uint8)
    classes = torch.arange(probabilities.shape[1], device=probabilities.device)
    return (classes == probabilities.argmax(1, keepdim=True)).to(torch.uint8)


def load_model(
    checkpoint: Path, device: torch.device, weights: Weights | None = None, precision: Precision = "fp32"
) -> TrainedModel:
    """The model of a trial's `best.pt`; the frozen blocks come from the pretrained weights that it names.

    Its `precision` is fp32 whatever it was trained in, unless asked otherwise.

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
    classifier = build_classifier(config, len(saved["labels"]), weights, precision)
    classifier.load_state_dict(saved["model"], strict=False)
    classifier.untouched = saved.get("first_trained_block", 0)
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


def score_test(
    model: TrainedModel,
    data: ImageDataset,
    objective: Objective,
    predictions: Path | None = None,
    sharing: Sharing | None = None,
) -> Evaluation:
    """The model's scores on the test split, decided by the thresholds that validation gave (rule 2).

    Args:
        predictions: where to write logits and decisions, as training does for validation.
        sharing: of the trial's search.
    """
    make_deterministic()  # as training is, with which features are shared
    features = PrefixFeatures(model.classifier, data, model.device, sharing)
    logits = split_logits(model.classifier, features, data.split["test"], model.config.images_at_once)
    evaluation = Evaluator(model.config, data, objective).test(logits, list(model.thresholds))
    if predictions:
        save_predictions(predictions, logits, evaluation.decisions, data, "test")
    return evaluation
