"""What a trial costs to compute: forward FLOPs of each block, and those of a whole trial by what can be shared.

2 FLOPs a multiply-add, convolutions and matrix products only. A backward pass is taken for two forward ones: torch's
counter over-counts it for depthwise convolutions by an order of magnitude.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainable.augment import AUGMENTS
from trainable.backbones import outline
from trainable.config import TrialConfig
from trainable.stages import frozen_in

if TYPE_CHECKING:
    import torch
    from torch import nn

_TRAINED = 3
"""passes that a training step is worth: forward, and twice that backward"""


@dataclass(frozen=True)
class ForwardFlops:
    """FLOPs of one image's forward pass."""

    blocks: tuple[int, ...]
    neck: int
    features: int
    """what the neck gives the head, in numbers an image"""


@dataclass(frozen=True)
class Prefix:
    """Frozen blocks and the views that pass them: trials of equal ones use the same features."""

    backbone: str
    seed: int | None
    """of random weights; None: pretrained ones"""
    image_size: int
    blocks: int
    augment: str


@dataclass(frozen=True)
class TrialFlops:
    """FLOPs of a whole trial."""

    own: float
    shared: Mapping[Prefix, float]
    """those of its features, which another trial may have computed"""


@functools.cache
def forward_flops(backbone: str, image_size: int) -> ForwardFlops:
    """FLOPs of a backbone's blocks for an image of so many pixels a side.

    Raises:
        UserError: as `outline`.
    """
    import torch

    built = outline(backbone, image_size)
    device = next(parameter.device for block in built.blocks for parameter in block.parameters())
    x = torch.zeros(1, 3, image_size, image_size, device=device)
    counts = []
    for part in (*built.blocks, built.neck):
        x, flops = _passed(part, x)
        counts.append(flops)
    return ForwardFlops(tuple(counts[:-1]), counts[-1], built.features)


def _passed(part: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, int]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    part.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        x = part(x)
    return x, counter.get_total_flops()


def trial_flops(config: TrialConfig, labels: int, train_images: int, val_images: int) -> TrialFlops:
    """FLOPs of all epochs of a trial on so many images.

    Raises:
        UserError: a freeze beyond the blocks, or as `forward_flops`.
    """
    forward = forward_flops(config.backbone, config.image_size)
    head = _head_flops(config, forward.features, labels)
    own, shared = 0.0, dict[Prefix, float]()
    for stage in config.plan:
        frozen = frozen_in(stage, config, len(forward.blocks))
        whole = frozen == len(forward.blocks)
        suffix = head if whole else head + forward.neck + sum(forward.blocks[frozen:])
        own += stage.epochs * suffix * (_TRAINED * train_images + val_images)
        if not frozen:
            continue
        prefix = sum(forward.blocks[:frozen]) + (forward.neck if whole else 0)
        views = train_images * (stage.epochs if AUGMENTS[config.augment].draws else 1)
        if config.mix.kind != "none":  # mixed images are this trial's alone
            own += prefix * train_images * stage.epochs
            views = 0
        seed = None if config.pretrained else config.seed
        key = Prefix(config.backbone, seed, config.image_size, frozen, config.augment)
        shared[key] = max(shared.get(key, 0.0), prefix * (views + val_images))
    return TrialFlops(own, shared)


def _head_flops(config: TrialConfig, features: int, labels: int) -> int:
    import torch

    with torch.device("meta"):
        head, x = config.head.build(features, labels), torch.zeros(1, features)
    return _passed(head, x)[1]
