"""A plugin: a loss that waits before every step, so that an epoch takes its time on a shared machine as well."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch.nn.functional import binary_cross_entropy_with_logits

from trainable.plugins import register_loss
from trainable.strict import Strict


class WaitingLoss(Strict):
    """Cross-entropy of multi-label data, late."""

    kind: Literal["waiting"]
    seconds: Annotated[float, Field(ge=0)] = 1.0

    def build(self, task: str, positives: object, images: int, device: torch.device):  # noqa: ARG002
        def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            time.sleep(self.seconds)
            return binary_cross_entropy_with_logits(logits, targets)

        return loss


register_loss(WaitingLoss)
