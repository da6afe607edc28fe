"""Augmentation of uint8 batches. A view is a pure function of the image and its keyed draws (data/views.py).

Every operation acts on each image alone and reduces over pixels in integers only, so that an image's view is the
same to the bit in any batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from trainable.errors import nearest

if TYPE_CHECKING:
    import torch


def _known_augment(name: str) -> str:
    if name not in AUGMENTS:
        raise ValueError(f"must be one of {', '.join(AUGMENTS)}{nearest(name, AUGMENTS)}")
    return name


Augment = Annotated[str, AfterValidator(_known_augment)]
"""a row of AUGMENTS"""


@dataclass(frozen=True)
class Policy:
    """How a batch is augmented: uint8 `[n, size, size, 3]` and draws in 0..1 `[n, draws]` -> uint8, same shape."""

    draws: int
    apply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _none(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return images


def _light(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Horizontal flip in half the views; crop shifted by up to an eighth of the side, edges reflected."""
    import torch

    n, size = images.shape[:2]
    reach = size // 8
    shift = (draws[:, 1:3] * (2 * reach + 1)).floor().long() - reach
    line = torch.arange(size, device=images.device)
    rows, columns = (_reflect(line + shift[:, axis, None], size) for axis in (0, 1))
    columns = torch.where(draws[:, :1] < 0.5, columns.flip(1), columns)
    which = torch.arange(n, device=images.device)[:, None, None]
    return images[which, rows[:, :, None], columns[:, None, :]]


def _reflect(index: torch.Tensor, size: int) -> torch.Tensor:
    index = index.abs()
    return (size - 1) - ((size - 1) - index).abs()


def _strong(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """`light`, colour jitter, then one operation of random kind and strength (after TrivialAugment, Mueller 2021)."""
    images = _light(images, draws)
    images = _colour(images, 0.7 + 0.6 * draws[:, 3:6])
    kind = (draws[:, 6] * 8).floor()
    strength = 2 * draws[:, 7] - 1
    warped = _warp(images, kind, strength)
    strongly = 1 + 0.8 * strength[:, None] * (kind[:, None] == draws.new_tensor([3, 4, 5]))
    recoloured = _colour(warped, strongly)
    return _levels(recoloured, kind, strength)


def _colour(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation scaled by `factors` `[n, 3]`; 1 leaves as is."""
    x = images.float()
    brightness, contrast, saturation = (factors[:, k, None, None, None].float() for k in range(3))
    x = x * brightness
    x = (x - brightness * _mean_luma(images)) * contrast + brightness * _mean_luma(images)
    luma = (x * x.new_tensor([0.299, 0.587, 0.114])).sum(-1, keepdim=True)
    x = (x - luma) * saturation + luma
    return x.round().clamp(0, 255).to(images.dtype)


def _mean_luma(images: torch.Tensor) -> torch.Tensor:
    """Mean luma of each image `[n, 1, 1, 1]`; summed in integers, whose order does not matter."""
    import torch

    channels = images.sum((1, 2), dtype=torch.int64)
    pixels = images.shape[1] * images.shape[2]
    total = (channels * channels.new_tensor([299, 587, 114])).sum(1)
    return (total.double() / (1000 * pixels)).float()[:, None, None, None]


def _warp(images: torch.Tensor, kind: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Kinds 0-2: rotation by up to 30 degrees, shear along x, shear along y; other images as they are."""
    import torch
    from torch.nn import functional

    angle = torch.where(kind == 0, strength * (torch.pi / 6), torch.zeros_like(strength))
    shear_x = torch.where(kind == 1, 0.4 * strength, torch.zeros_like(strength))
    shear_y = torch.where(kind == 2, 0.4 * strength, torch.zeros_like(strength))
    zero = torch.zeros_like(angle)
    matrix = torch.stack(
        [
            torch.stack([angle.cos(), -angle.sin() + shear_x, zero], 1),
            torch.stack([angle.sin() + shear_y, angle.cos(), zero], 1),
        ],
        1,
    ).float()
    x = images.permute(0, 3, 1, 2).float()
    grid = functional.affine_grid(matrix, list(x.shape), align_corners=False)
    warped = functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    warped = warped.round().clamp(0, 255).to(images.dtype).permute(0, 2, 3, 1)
    return torch.where((kind <= 2)[:, None, None, None], warped, images)


def _levels(images: torch.Tensor, kind: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Kind 6: posterise to 3-8 bits; kind 7: solarise above a level; kinds 0-5: as they are."""
    import torch

    bits = 3 + (2.5 * (1 - strength)).floor().long()
    step = (2 ** (8 - bits))[:, None, None, None]
    posterised = (images.long() // step * step).to(images.dtype)
    level = (192 - 64 * strength)[:, None, None, None]
    solarised = torch.where(images >= level, 255 - images, images)
    chosen = torch.where((kind == 6)[:, None, None, None], posterised, images)
    return torch.where((kind == 7)[:, None, None, None], solarised, chosen)


AUGMENTS: dict[str, Policy] = {
    "none": Policy(0, _none),
    "light": Policy(3, _light),
    "strong": Policy(8, _strong),
}
