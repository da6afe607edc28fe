"""A backbone's blocks, its neck and a head, split at the frozen boundary into prefix and suffix."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from trainable.backbones import Backbone, backbone_facts, build_model, split_model
from trainable.compute import Layout
from trainable.config import TrialConfig
from trainable.errors import UserError
from trainable.freezing import blocks_to_freeze
from trainable.precision import Precision, autocast, kept_in
from trainable.prefix.shelf import Origin, as_pristine, pristine_backbone
from trainable.weights import Weights, load_weights


class Classifier(nn.Module):
    """`blocks -> neck -> head`, of which the first `frozen` blocks are frozen.

    Frozen means `requires_grad=False` and eval mode (BatchNorm, dropout, stochastic depth), also after `.train()`.
    When all blocks are frozen, so is the neck (pooling and whatever parameters it has).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        neck: nn.Module,
        head: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        origin: Origin | None = None,
        precision: Precision = "fp32",
    ) -> None:
        """`origin` says what blocks and neck are; None where nobody is to share what they compute."""
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.neck = neck
        self.head = head
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.frozen = 0
        self.untouched = len(blocks)
        """leading blocks that have never been trained; the neck with them where that is all"""
        self.batch_norm_frozen = False
        self.origin = origin
        self.precision = precision
        self.layout: Layout = "channels_last"
        """of the suffix; the prefix's is always the same, since its features are shared"""

    def freeze(self, frozen: int, *, batch_norm_frozen: bool = False) -> None:
        """Freeze the first `frozen` blocks and train the rest; `batch_norm_frozen` keeps all BatchNorm statistics."""
        self.frozen = frozen
        self.untouched = min(self.untouched, frozen)
        self.batch_norm_frozen = batch_norm_frozen
        self.requires_grad_(True)
        for part in self._frozen_parts:
            part.requires_grad_(False).eval()
        self.train(self.training)

    def train(self, mode: bool = True) -> Classifier:
        """As `nn.Module.train`, but what is frozen stays in eval mode."""
        self.training = self.blocks.training = mode
        for part in (*self.trained_backbone, self.head):  # the frozen rest is in eval mode since it was frozen
            part.train(mode)
        if self.batch_norm_frozen:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    @property
    def wholly_frozen(self) -> bool:
        """Whether only the head is trained."""
        return self.frozen == len(self.blocks)

    @property
    def trained_backbone(self) -> list[nn.Module]:
        """The blocks (and neck) of the suffix, without the head."""
        return [] if self.wholly_frozen else [*self.blocks[self.frozen :], self.neck]

    @property
    def _frozen_parts(self) -> list[nn.Module]:
        return [*self.blocks[: self.frozen], *([self.neck] if self.wholly_frozen else [])]

    def prefix(self, images: torch.Tensor) -> torch.Tensor:
        """`[n, 3, size, size]` in 0..1 -> output of the last frozen block (`[n, features]` when all are frozen).

        Its dtype is that of the classifier's precision.
        """
        return self.between(images, 0, self.frozen)

    def between(self, x: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """What blocks `start` to `stop` make of the output of those before; pictures in 0..1 are what comes before 0.

        The neck belongs to the last block.
        """
        x = kept_in(self.precision, _laid_out((x - self.mean) / self.std if start == 0 else x))
        with autocast(self.precision, x.device.type):
            for block in self.blocks[start:stop]:
                x = kept_in(self.precision, _laid_out(block(x)))  # wherever it is cut
            return kept_in(self.precision, self.neck(x)) if start < stop == len(self.blocks) else x

    def lay_out(self, layout: Layout) -> None:
        """Keep the suffix's weights and feature maps in a memory layout, and all others in the prefix's."""
        self.layout = layout
        self.to(memory_format=torch.channels_last)
        for part in self.suffix:
            part.to(memory_format=_FORMATS[layout])

    @property
    def suffix(self) -> Suffix:
        """What is trained, as a module: output of `prefix` -> logits `[n, labels]`."""
        return Suffix(*self.trained_backbone, self.head, precision=self.precision, layout=self.layout)

    def with_suffix(self, suffix: Iterable[nn.Module]) -> Classifier:
        """A classifier of the same frozen modules, shared, with modules like those of its suffix in their place."""
        frozen = {id(part): part for part in self._frozen_parts}
        trained = {id(own): other for own, other in zip(self.suffix, suffix, strict=True)}
        return copy.deepcopy(self, frozen | trained)  # which copies nothing that its memo holds

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """`[n, 3, size, size]` in 0..1 -> logits `[n, labels]`."""
        logits: torch.Tensor = self.suffix(self.prefix(images))
        return logits


class Suffix(nn.Sequential):
    """Trained blocks, the neck with them, and the head, one after the other."""

    def __init__(self, *parts: nn.Module, precision: Precision, layout: Layout) -> None:
        super().__init__(*parts)
        self.precision = precision
        self.layout = layout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output of the prefix, `[n, ...]` -> float32 logits `[n, labels]`."""
        with autocast(self.precision, x.device.type):
            logits: torch.Tensor = super().forward(_laid_out(x, self.layout))  # type: ignore[no-untyped-call]
        return logits if self.precision == "fp32" else logits.float()


_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def _laid_out(x: torch.Tensor, layout: Layout = "channels_last") -> torch.Tensor:
    """Feature maps in a layout, by default the one that most convolutions are fastest in.

    Always the same one unless asked otherwise: the layout of its input can change a kernel's last bits.
    """
    return x.contiguous(memory_format=_FORMATS[layout]) if x.ndim == 4 else x


def build_classifier(
    config: TrialConfig, labels: int, weights: Weights | None, precision: Precision = "fp32"
) -> Classifier:
    """The config's pretrained backbone with a fresh head for so many labels; `config.seed` keys the fresh parts.

    Raises:
        UserError: pretrained weights are wanted and not given (never random ones instead), or do not fit.
    """
    backbone, origin = _backbone(config, weights)
    # keyed apart from the backbone, whose initialisation draws a number of times that depends on the library
    torch.manual_seed(config.seed)
    head = config.head.build(backbone.features, labels)
    classifier = Classifier(backbone.blocks, backbone.neck, head, backbone.mean, backbone.std, origin, precision)
    return classifier.to(memory_format=torch.channels_last)


def _backbone(config: TrialConfig, weights: Weights | None) -> tuple[Backbone, Origin]:
    """The config's backbone, and what its blocks and neck are."""
    facts = backbone_facts(config.backbone)
    if config.pretrained and weights is None:
        raise UserError(f"{config.backbone}: pretrained is true but no weights were given")
    if config.pretrained and weights is not None and facts.library != "plugin":
        pristine = pristine_backbone(config.backbone, weights, config.image_size)
        blocks = len(pristine.backbone.blocks)
        frozen = [
            blocks_to_freeze(stage.freeze, blocks, config.backbone) for stage in config.plan if stage.freeze is not None
        ]
        return pristine.borrow(min(frozen)), pristine.origin
    # parts of a plugin's model may hold on to each other in ways that a copy does not follow
    torch.manual_seed(config.seed)
    model = build_model(facts)
    if config.pretrained and weights is not None:
        load_weights(facts, model, weights)
    built = as_pristine(config.backbone, split_model(facts, model, config.image_size))
    return built.backbone, built.origin
