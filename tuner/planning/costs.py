"""What an epoch of a config takes, from what its backbone was measured to take."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from trainable.augment import AUGMENTS
from trainable.backbones import count_blocks
from trainable.config import TrialConfig
from trainable.data.batches import steps_per_epoch
from trainable.freezing import blocks_to_freeze
from trainable.stages import Part, stage_of
from tuner.disk_budget import CHECKPOINT_COPIES
from tuner.ray_backend.resources import MemoryKey, memory_key

if TYPE_CHECKING:
    import torch

    from trainable.measure import BlockSize, BlockTime

Model = tuple[str, int]
"""backbone and image size in pixels"""
_BYTES = 4
"""of a number in single precision"""


@dataclass(frozen=True)
class BackboneCost:
    """What a backbone takes at one image size."""

    backbone: str
    image_size: int
    parameters: int
    """without a head"""
    latency_ms: float
    build_seconds: float
    blocks: int
    times: tuple[BlockTime, ...]
    """of the blocks, then the neck"""
    sizes: tuple[BlockSize, ...]
    head_step_seconds: float
    memory_gib: Mapping[MemoryKey, float]
    """of the configs that are planned"""
    timed_images: int
    measured_seconds: float
    """that measuring all this took"""

    def prefix_seconds(self, frozen: int) -> float:
        """An image's way through the frozen blocks."""
        return sum(block.forward_seconds for block in self._prefix(frozen))

    def suffix_seconds(self, frozen: int) -> float:
        """An image's way through the rest, when nothing is trained."""
        return sum(block.forward_seconds for block in self.times[len(self._prefix(frozen)) :])

    def train_seconds(self, frozen: int) -> float:
        """An image's share of a training step, without the head's."""
        return sum(block.train_seconds for block in self.times[len(self._prefix(frozen)) :])

    def step_seconds(self, frozen: int) -> float:
        """What a training step takes however many images are in it."""
        return self.head_step_seconds + sum(block.update_seconds for block in self.times[len(self._prefix(frozen)) :])

    def feature_bytes(self, frozen: int) -> int:
        """Of an image at the frozen boundary."""
        return self.sizes[len(self._prefix(frozen)) - 1].output_bytes

    def trained_bytes(self, frozen: int) -> int:
        """Of the weights that training changes, without the head's."""
        return _BYTES * sum(block.parameters for block in self.sizes[len(self._prefix(frozen)) :])

    def _prefix(self, frozen: int) -> tuple[BlockTime, ...]:
        """With all blocks the neck is frozen too."""
        return self.times if frozen == self.blocks else self.times[:frozen]


def model_of(config: TrialConfig) -> Model:
    return config.backbone, config.image_size


def measure_model(
    model: Model, keys: Collection[MemoryKey], batch_size: int, labels: int, device: torch.device
) -> BackboneCost:
    """What a backbone takes at one size; `keys` are those of the configs that are planned.

    Raises:
        UserError: as `build_classifier`.
    """
    from trainable.measure import MeasuredBackbone

    began = time.perf_counter()
    found = MeasuredBackbone(*model, labels, device)
    return BackboneCost(
        backbone=model[0],
        image_size=model[1],
        parameters=found.parameters,
        latency_ms=found.latency_ms,
        build_seconds=found.build_seconds,
        blocks=found.block_count,
        times=found.times,
        sizes=found.sizes,
        head_step_seconds=found.head_step_seconds(batch_size),
        memory_gib={key: found.memory_gib(key.frozen, key.images) for key in sorted(keys, key=lambda key: key.images)},
        timed_images=found.images,
        measured_seconds=time.perf_counter() - began,
    )


class Features(NamedTuple):
    """What frozen blocks make of a split's images; trials of equal ones can share it."""

    backbone: str
    seed: int | None
    """of random weights; None: pretrained ones"""
    image_size: int
    frozen: int
    split: str
    view: str
    """which pictures of the images"""


@dataclass(frozen=True)
class Need:
    """Features that an evaluation of a trial is made from."""

    features: Features
    seconds: float
    """to compute them"""
    held_bytes: int
    images: float
    reach: float
    """images of the split that a trial has asked for once it has these: parts of the first epoch ask for other ones"""
    shareable: bool = True


@dataclass(frozen=True)
class PartCost:
    """What a trial does between two evaluations."""

    own_seconds: float
    """beyond its features"""
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Work:
    """What all trials of a search share of what they have to do."""

    train_images: int
    val_images: int
    evaluation_seconds: float
    """of scoring validation, given its logits"""


def part_cost(config: TrialConfig, cost: BackboneCost, work: Work, part: Part) -> PartCost:
    """Of a stretch of an epoch with the evaluation at its end."""
    _, stage = stage_of(config, part.epoch)
    assert stage.freeze is not None  # a plan's stages are filled in
    frozen = blocks_to_freeze(stage.freeze, count_blocks(config.backbone), config.backbone)
    steps = part.stop - part.first
    images_a_step = work.train_images / steps_per_epoch(work.train_images, config.batch_size)
    images, reach = images_a_step * steps, images_a_step * part.stop
    own = images * cost.train_seconds(frozen) + steps * cost.step_seconds(frozen)
    own += work.val_images * cost.suffix_seconds(frozen) + work.evaluation_seconds
    return PartCost(own, tuple(_needs(config, cost, work, frozen, part.epoch, images, reach)) if frozen else ())


def _needs(
    config: TrialConfig, cost: BackboneCost, work: Work, frozen: int, epoch: int, images: float, reach: float
) -> Iterator[Need]:
    seed = None if config.pretrained else config.seed
    view = f"{config.augment} {epoch}" if AUGMENTS[config.augment].draws else "none"
    seconds, size = cost.prefix_seconds(frozen), cost.feature_bytes(frozen)
    of_model = (config.backbone, seed, config.image_size, frozen)
    val = work.val_images
    yield Need(Features(*of_model, "val", "none"), val * seconds, val * size, val, val)
    train = Features(*of_model, "train", view)
    yield Need(train, images * seconds, round(images * size), images, reach, shareable=config.mix.kind == "none")


def checkpoint_bytes(config: TrialConfig, cost: BackboneCost) -> int:
    """Of both checkpoints of a trial: what its training has changed, with two moments each, head left out."""
    return CHECKPOINT_COPIES * cost.trained_bytes(memory_key(config, "fp32").frozen)
