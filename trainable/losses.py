"""Losses and how positives are weighed. One class a loss = its fields + `build`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from trainable.strict import Strict
from trainable.task import Task

if TYPE_CHECKING:
    import numpy as np
    import torch

    LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

Balance = Literal["none", "balanced", "sqrt_balanced"]


def _parse_pos_weight(given: object) -> object:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if given in get_args(Balance) or (is_number and 0 < given <= 1e4):  # type: ignore[operator]
        return given
    raise ValueError("must be none, balanced, sqrt_balanced or a number above 0 and up to 10000")


PosWeight = Annotated[Balance | float, BeforeValidator(_parse_pos_weight)]


class _Loss(Strict):
    """Fields that every loss here has; weights come from the training split's label counts."""

    pos_weight: PosWeight = "none"
    """weight of positives, `balanced` = negatives / positives; multi-class: the same names weigh classes"""
    pos_weight_cap: Annotated[float, Field(ge=1)] = 20.0
    """no weight exceeds this, so that a label seen once cannot drown the rest"""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def weights(self, task: Task, positives: np.ndarray, images: int) -> np.ndarray | None:
        """One weight a label, `[labels]` float32, from training-split counts; None when nothing is weighed."""
        import numpy as np

        if self.pos_weight == "none":
            return None
        counts = np.maximum(positives.astype(np.float64), 1.0)
        if isinstance(self.pos_weight, float | int):
            weights = np.full(len(counts), float(self.pos_weight))
        elif task == "multilabel":
            weights = np.maximum(images - positives, 1.0) / counts
        else:
            weights = images / (len(counts) * counts)
        if self.pos_weight == "sqrt_balanced":
            weights = np.sqrt(weights)
        capped: np.ndarray = np.minimum(weights, self.pos_weight_cap).astype(np.float32)
        return capped

    def _weights_on(self, device: torch.device, task: Task, positives: np.ndarray, images: int) -> torch.Tensor | None:
        import torch

        found = self.weights(task, positives, images)
        return None if found is None else torch.from_numpy(found).to(device)


class CrossEntropyLoss(_Loss):
    """BCE-with-logits (multi-label) or cross-entropy (multi-class)."""

    kind: Literal["cross_entropy"] = "cross_entropy"

    def build(self, task: Task, positives: np.ndarray, images: int, device: torch.device) -> LossFunction:
        """The training loss on logits `[batch, labels]`, as for every loss.

        Targets are floats `[batch, labels]`, or class indices `[batch]` in multi-class where images are not mixed.
        """
        from torch.nn import functional

        weights = self._weights_on(device, task, positives, images)
        smoothing = self.label_smoothing

        def binary_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            softened = targets * (1 - smoothing) + 0.5 * smoothing
            return functional.binary_cross_entropy_with_logits(logits, softened, pos_weight=weights)

        def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            # averaged over images, not over their weights: an image counts the same in any (micro-)batch
            losses = functional.cross_entropy(
                logits, targets, weight=weights, label_smoothing=smoothing, reduction="none"
            )
            return losses.mean()

        return binary_cross_entropy if task == "multilabel" else cross_entropy


class FocalLoss(_Loss):
    """Cross-entropy that counts what is decided already for less (Lin et al., "Focal Loss", ICCV 2017)."""

    kind: Literal["focal"]
    gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    """0: plain cross-entropy; the higher, the less a sure and right decision counts"""

    def build(self, task: Task, positives: np.ndarray, images: int, device: torch.device) -> LossFunction:
        from torch.nn import functional

        weights = self._weights_on(device, task, positives, images)
        smoothing, gamma = self.label_smoothing, self.gamma

        def of_labels(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            softened = targets * (1 - smoothing) + 0.5 * smoothing
            losses = functional.binary_cross_entropy_with_logits(logits, softened, pos_weight=weights, reduction="none")
            likelihood = logits.sigmoid() * targets + (-logits).sigmoid() * (1 - targets)
            return (losses * _doubt(likelihood) ** gamma).mean()

        def of_classes(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            losses = functional.cross_entropy(
                logits, targets, weight=weights, label_smoothing=smoothing, reduction="none"
            )
            soft = targets if targets.ndim == 2 else functional.one_hot(targets, logits.shape[1])
            likelihood = (logits.softmax(1) * soft).sum(1)
            return (losses * _doubt(likelihood) ** gamma).mean()

        return of_labels if task == "multilabel" else of_classes


def _doubt(likelihood: torch.Tensor) -> torch.Tensor:
    """1 - likelihood, never 0: a power below 1 has no slope there, and one sure decision would make all weights NaN."""
    return (1 - likelihood).clamp_min(1e-7)


Loss = Annotated[CrossEntropyLoss | FocalLoss, Field(discriminator="kind")]


def unweighted_loss(logits: torch.Tensor, targets: torch.Tensor, task: Task) -> torch.Tensor:
    """The loss that is reported and watched: mean over images, neither weighted nor smoothed (rule 3)."""
    from torch.nn import functional

    if task == "multilabel":
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)
