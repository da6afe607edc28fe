"""What learns in a trial: a classifier with the optimiser, schedule and average of the stage that it is in."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trainable.averaging import Average, NoAveraging
from trainable.classifier import Classifier, build_classifier
from trainable.compute import PLAIN, Compute, Sample, choose_compute, compiled
from trainable.config import TrialConfig
from trainable.data.batches import Indices
from trainable.data.cache import cache_folder
from trainable.devices import to_device
from trainable.errors import DivergedError, UserError
from trainable.freezing import CHUNK_IMAGES, blocks_to_freeze, parameter_groups
from trainable.losses import unweighted_loss
from trainable.mixing import mix_batch
from trainable.optim import Stepper
from trainable.precision import Precision, gradient_scaler, require_precision
from trainable.prefix.features import Counts, PrefixFeatures
from trainable.prefix.planner import Sharing
from trainable.stages import stage_of
from trainable.weights import Weights

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset
    from trainable.losses import LossFunction
    from trainable.mixing import Mixer


@dataclass(frozen=True)
class Losses:
    """Means over the images of some steps, as they were trained on."""

    unweighted: float
    weighted: float
    """what the optimiser saw"""
    images: int


class Learner:
    """A classifier that learns from the training images of a data set, stage by stage."""

    optimizer: torch.optim.Optimizer
    stepper: Stepper
    average: Average
    features: PrefixFeatures
    compute: Compute = PLAIN
    """how the suffix is computed, in all stages; to be changed before the first"""
    epochs_before: int = 0
    """of the trials that this one goes on from: order and views of the images follow on theirs"""

    def __init__(
        self,
        config: TrialConfig,
        data: ImageDataset,
        device: torch.device,
        weights: Weights | None,
        sharing: Sharing | None = None,
        precision: Precision = "fp32",
    ) -> None:
        require_precision(precision, device.type)
        self.config = config
        self.data = data
        self.device = device
        self.classifier = build_classifier(config, len(data.labels), weights, precision).to(device)
        self._weights = weights
        self._sharing = sharing
        self.counts = Counts()
        """of the features used, over all stages"""
        self._stage_number: int | None = None
        self._epochs_before_stage = 0
        images = len(data.split["train"])
        self._loss: LossFunction = config.loss.build(data.task, data.positives("train"), images, device)
        self._mixer: Mixer | None = config.mix.build(len(data.labels))
        self._scaler = gradient_scaler(precision, device.type)
        self._compiled: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def scored(self) -> Classifier:
        """The classifier that is evaluated and kept: the average of the weights where there is one."""
        return self.average.scored

    @property
    def lr(self) -> float:
        """The learning rate of the last block's next step, or of the head's where only it is trained."""
        return float(self.optimizer.param_groups[0]["lr"])

    def enter_stage_of(self, epoch: int, steps_per_epoch: int) -> None:
        """Freeze, and build optimiser, schedule and average anew, where an epoch (from 1) is of another stage."""
        number, stage = stage_of(self.config, epoch)
        if number == self._stage_number:
            return
        self._stage_number = number
        config, plan = self.config, self.config.plan
        assert stage.freeze is not None  # a plan's stages are filled in
        assert stage.lr is not None
        frozen = blocks_to_freeze(stage.freeze, len(self.classifier.blocks), config.backbone)
        self.classifier.freeze(frozen, batch_norm_frozen=config.batch_norm == "frozen")
        self.classifier.lay_out(self.compute.layout)
        compiles = self.compute.compile != "none" and self.classifier.trained_backbone
        self._suffix = self.classifier.suffix
        self._compiled = compiled(self._suffix, self.compute.compile) if compiles else None
        self._epochs_before_stage = sum(earlier.epochs for earlier in plan[:number])
        chosen = config.optimizer
        head_lr = stage.lr * chosen.head_lr_multiplier
        groups = parameter_groups(self.classifier, stage.lr, head_lr, chosen.weight_decay, chosen.block_lr_decay)
        self.optimizer = chosen.build(groups)
        self.stepper = config.schedule.build(self.optimizer, stage.epochs, steps_per_epoch)
        averaging = config.averaging if number == len(plan) - 1 else NoAveraging()
        self.average = averaging.build(self.classifier, stage.epochs)
        self.features = PrefixFeatures(
            self.classifier, self.data, self.device, self._sharing, stage.epochs, self.counts
        )

    @property
    def _images_at_once(self) -> int:
        return min(self.config.images_at_once, len(self.data.split["train"]))

    def fastest_compute(self, steps: int) -> Compute:
        """How so many steps of the last stage are computed fastest; it is mostly the longest stage."""
        config, frozen = self.config, self.config.plan[-1].freeze
        assert frozen is not None  # a plan's stages are filled in
        classifier = copy.deepcopy(self.classifier)
        blocks = blocks_to_freeze(frozen, len(classifier.blocks), config.backbone)
        classifier.freeze(blocks, batch_norm_frozen=config.batch_norm == "frozen")
        if classifier.wholly_frozen:
            return PLAIN
        images = self.data.split["train"][: self._images_at_once]
        stored = to_device(torch.from_numpy(self.data.batch(images)), self.device)
        targets = to_device(torch.from_numpy(self.data.targets[images]), self.device)
        parts = math.ceil(config.batch_size / len(images))
        sample = Sample(stored.permute(0, 3, 1, 2).float() / 255, targets, self._loss, parts)
        return choose_compute(classifier, sample, steps, {"backbone": config.backbone}, cache_folder())

    def learn(self, batches: Sequence[Indices], epoch: int, *, first: int, key: int) -> Losses:
        """Take a step for each batch of images.

        Args:
            epoch: from 1; with `epochs_before` it keys the images' views.
            first: number of the first batch in its epoch; with `epoch` it keys how images are mixed.
            key: keys dropout and stochastic depth, which therefore need not be stored to resume.

        Raises:
            DivergedError: the loss became NaN or infinite.
        """
        torch.manual_seed(self.config.seed * 1_000_003 + key)
        epoch += self.epochs_before
        self.classifier.train()
        if self._mixer is None:
            self.features.ensure(np.concatenate(batches), self.config.augment, epoch)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        for features, targets in self._inputs(batches, epoch, first):
            sums += self._step(features, targets)
        unweighted, weighted = (sums[:2] / sums[2]).tolist()
        if not math.isfinite(weighted):
            raise DivergedError(f"diverged: the training loss is {weighted} in epoch {epoch - self.epochs_before}")
        return Losses(unweighted, weighted, sum(map(len, batches)))

    def end_epoch(self, batches: Sequence[Indices], epoch: int) -> None:
        """Take the weights after an epoch, which these batches were, into the average where that is its pace."""
        seen = self.epochs_before + epoch
        views = (self.features.view(batch, self.config.augment, seen) for batch in batches)
        self.average.after_epoch(epoch - self._epochs_before_stage, views)

    def _inputs(
        self, batches: Sequence[Indices], epoch: int, first: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Each batch's features and targets; small batches share a chunk of the prefix, which fills it."""
        together = math.ceil(CHUNK_IMAGES / self.config.batch_size)
        for start in range(0, len(batches), together):
            several = batches[start : start + together]
            targets = [to_device(torch.from_numpy(self.data.targets[batch]), self.device) for batch in several]
            sizes = [len(batch) for batch in several]
            if self._mixer is None:
                features = self.features.view(np.concatenate(several), self.config.augment, epoch)
            else:
                views = self.features.pixels(np.concatenate(several), self.config.augment, epoch)
                pixels, targets = self._mix(torch.split(views, sizes), targets, epoch, first + start)
                features = self.features.of(torch.cat(pixels))
            yield from zip(torch.split(features, sizes), targets, strict=True)

    def _mix(
        self, views: Sequence[torch.Tensor], targets: Sequence[torch.Tensor], epoch: int, first: int
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Images and targets of batches, the first of which has that number in its epoch, each mixed within itself."""
        assert self._mixer is not None
        mixed = [
            mix_batch(self._mixer, *batch, seed=self.config.seed, epoch=epoch, batch=number)
            for number, batch in enumerate(zip(views, targets, strict=True), start=first)
        ]
        return [images for images, _ in mixed], [targets for _, targets in mixed]

    def _step(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Move the weights by a batch; the sums of its losses, unweighted and weighted, and its images, `[3]`."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = math.ceil(len(targets) / (self.config.micro_batch or len(targets)))
        if self.config.micro_batch != 1:  # BatchNorm cannot train on a single image that is left over
            parts = min(parts, max(1, len(targets) // 2))
        pairs = zip(torch.tensor_split(features, parts), torch.tensor_split(targets, parts), strict=True)
        sums = torch.stack([self._backward(*pair, len(targets)) for pair in pairs]).sum(0)
        if self.config.optimizer.clip_grad_norm:
            self._scaler.unscale_(self.optimizer)
            trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, self.config.optimizer.clip_grad_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.stepper.after_step()
        self.average.after_step()
        counted = torch.cat([sums, sums.new_full((1,), len(targets))])
        if self._scaler.is_enabled():  # what overflows in fp16 moves no weight, and has no loss to be counted
            counted = torch.where(sums.isfinite().all(), counted, 0.0)
        return counted

    def _backward(self, features: torch.Tensor, targets: torch.Tensor, batch_images: int) -> torch.Tensor:
        """Add the gradients of some of a batch's images; the sums of their losses, unweighted and weighted, `[2]`."""
        # compiled for one size; the few smaller batches and parts are not worth another compilation
        whole = len(features) == self._images_at_once
        logits = (self._compiled if self._compiled and whole else self._suffix)(features)
        loss = self._loss(logits, targets)
        self._scaler.scale(loss * (len(targets) / batch_images)).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            unweighted = unweighted_loss(logits, targets, self.data.task)
            return torch.stack([unweighted, loss]).double() * len(targets)

    def model_state(self, classifier: Classifier) -> dict[str, Any]:
        """What training has changed so far, and what it takes to use it; frozen blocks are their pretrained selves."""
        untouched = tuple(f"blocks.{block}." for block in range(self.classifier.untouched))
        untouched += ("neck.",) if self.classifier.untouched == len(classifier.blocks) else ()
        state = classifier.state_dict()
        return {
            "model": {name: tensor for name, tensor in state.items() if not name.startswith(untouched)},
            "config": self.config.model_dump(mode="json"),
            "labels": list(self.data.labels),
            "task": self.data.task,
            "weights_sha256": self._weights.sha256 if self._weights else None,
            "first_trained_block": self.classifier.untouched,
        }

    def state_dict(self) -> dict[str, Any]:
        """All that it takes to go on learning."""
        return self.model_state(self.classifier) | {
            "epochs_before": self.epochs_before,
            "compute": self.compute.model_dump(),
            "stage": self._stage_number,
            "optimizer": self.optimizer.state_dict(),
            "stepper": self.stepper.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], epoch: int, steps_per_epoch: int) -> None:
        """Be ready to go on in an epoch, or to begin it: in a new stage, with a new optimiser, schedule and average."""
        self.epochs_before = state.get("epochs_before", 0)
        self._load_model(state)
        self.enter_stage_of(epoch, steps_per_epoch)
        if self._stage_number == state["stage"]:
            self._scaler.load_state_dict(state.get("scaler", {}))
            self.optimizer.load_state_dict(state["optimizer"])
            self.stepper.load_state_dict(state["stepper"])
            self.average.load_state_dict(state["average"])

    def begin_after(self, state: dict[str, Any], epochs: int, steps_per_epoch: int) -> None:
        """Begin where another trial ended after so many epochs: with its weights, and what its optimiser remembers.

        Schedule and average are this trial's own. Its one stage freezes what the other's last one did.
        """
        self.epochs_before = state.get("epochs_before", 0) + epochs
        self._load_model(state)
        self.enter_stage_of(1, steps_per_epoch)
        own_groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": own_groups})
        self._scaler.load_state_dict(state.get("scaler", {}))

    def _load_model(self, state: dict[str, Any]) -> None:
        if self._weights and state["weights_sha256"] not in (None, self._weights.sha256):
            raise UserError(f"{self._weights.path}: not the weights that this trial began with; put the same back")
        self.classifier.untouched = state["first_trained_block"]
        self.classifier.load_state_dict(state["model"], strict=False)
        self.compute = Compute.model_validate(state.get("compute", {}))
