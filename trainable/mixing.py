"""Mixing of a batch's images and targets, keyed by (seed, epoch, batch): a batch is mixed the same whenever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from trainable.strict import Strict

if TYPE_CHECKING:
    import torch

    Mixer = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

_MIX = 0x4D4958
"""Names the stream of draws, so that other uses of the same seed are unrelated."""

Alpha = Annotated[float, Field(gt=0, le=100)]


class NoMix(Strict):
    """Images as they are."""

    kind: Literal["none"] = "none"

    def build(self, labels: int) -> Mixer | None:  # noqa: ARG002
        """What mixes a batch's images `[n, 3, size, size]` and targets into images and float targets `[n, labels]`."""
        return None


class MixUp(Strict):
    """Each image blended with another of its batch, and so are their targets (Zhang et al., 2018)."""

    kind: Literal["mixup"]
    alpha: Alpha = 0.2
    """the share of one image is drawn from Beta(alpha, alpha), once a batch"""

    def build(self, labels: int) -> Mixer | None:
        from torchvision.transforms import v2

        mixer: Mixer = v2.MixUp(alpha=self.alpha, num_classes=labels)
        return mixer


class CutMix(Strict):
    """A box of each image replaced by that of another of its batch, targets blended by area (Yun et al., 2019)."""

    kind: Literal["cutmix"]
    alpha: Alpha = 1.0
    """the box's share of the area is drawn from Beta(alpha, alpha), once a batch"""

    def build(self, labels: int) -> Mixer | None:
        from torchvision.transforms import v2

        mixer: Mixer = v2.CutMix(alpha=self.alpha, num_classes=labels)
        return mixer


Mix = Annotated[NoMix | MixUp | CutMix, Field(discriminator="kind")]


def mix_batch(
    mixer: Mixer, images: torch.Tensor, targets: torch.Tensor, *, seed: int, epoch: int, batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch mixed by draws that are keyed by (seed, epoch, batch number) and leave every other stream alone."""
    import numpy as np
    import torch

    key = int(np.random.SeedSequence([_MIX, seed, epoch, batch]).generate_state(1, np.uint64)[0])
    with torch.random.fork_rng(devices=[]):  # torchvision draws on the CPU, whatever the device
        torch.default_generator.manual_seed(key)
        return mixer(images, targets)
