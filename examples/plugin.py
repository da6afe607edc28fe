"""A plugin: one of each kind that can be added without changing Thaw.

    tuner search SPACE --data DATA --plugin examples/plugin.py

A space then names them as it names what ships: `head.kind: normed`, `loss.kind: squared`, `augment: noise`,
`objective: hamming_accuracy`, `backbone: shallow`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from trainable.backbones import HALF, Backbone, BackboneFacts
from trainable.plugins import (
    register_augment,
    register_backbone,
    register_head,
    register_loss,
    register_metric,
)
from trainable.strict import Strict


class NormedHead(Strict):
    """Layer normalisation, then one linear layer."""

    kind: Literal["normed"]
    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-5

    def build(self, features: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.LayerNorm(features, self.epsilon), nn.Linear(features, outputs))


class SquaredLoss(Strict):
    """Squared difference of probabilities and targets, for multi-label data."""

    kind: Literal["squared"]

    def build(self, task: str, positives: object, images: int, device: torch.device):  # noqa: ARG002
        return lambda logits, targets: (logits.sigmoid() - targets).square().mean()


def hamming_accuracy(probabilities: torch.Tensor, decisions: torch.Tensor, targets: torch.Tensor) -> float:  # noqa: ARG001
    """Share of single labels that are right."""
    return float((decisions == targets).double().mean())


def noise(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Brightness moved by up to 20 of 255."""
    shift = ((draws[:, 0] - 0.5) * 40).round()[:, None, None, None]
    return (images.float() + shift).clamp(0, 255).to(images.dtype)


def build_shallow() -> nn.Module:
    """Three convolutions."""
    layers = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()) for a, b in ((3, 8), (8, 16), (16, 32))]
    return nn.Sequential(*layers, nn.Linear(32, 10))


def split_shallow(model: nn.Module) -> Backbone:
    """A block a convolution."""
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
    return Backbone(list(model.children())[:3], pool, 32, HALF, HALF)


register_head(NormedHead)
register_loss(SquaredLoss)
register_metric("hamming_accuracy", hamming_accuracy, meaning="share of single labels that are right")
register_augment("noise", 1, noise)
register_backbone(BackboneFacts("shallow", "plugin", "shallow", 3, 6_032, 32, HALF, HALF), build_shallow, split_shallow)
