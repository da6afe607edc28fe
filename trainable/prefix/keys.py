"""What features depend on. All of it is in their key, so that whatever is found under a key may be used."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trainable import augment as augmenting
from trainable.augment import AUGMENTS
from trainable.backbones import backbone_facts
from trainable.data import views
from trainable.freezing import CHUNK_IMAGES
from trainable.plugins import loaded_plugins
from trainable.precision import Precision, dtype_of

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset
    from trainable.prefix.shelf import Origin

FORMAT = 1
"""Raise by hand whenever the same blocks would make other features of the same pictures."""


@dataclass(frozen=True)
class View:
    """Which pictures of a data set's images: as they are, or as one epoch augments them."""

    augment: str = "none"
    epoch: int = 0
    """from 1; 0 where every epoch's view is the same"""


PLAIN = View()


def view_of(augment: str, epoch: int) -> View:
    """The view that training sees in an epoch (from 1)."""
    return View(augment, epoch) if AUGMENTS[augment].draws else PLAIN


@dataclass(frozen=True)
class FeatureKey:
    """All that decides the features of a data set's images: equal keys, equal bits."""

    format: int
    backbone: str
    code: str
    """of a backbone or an augmentation that a person added, and of our own augmentations"""
    blocks: int
    """how many the images pass; after the last one the neck"""
    digests: tuple[str, ...]
    """of their weights and buffers"""
    image_size: int
    images: str
    """hash of the images, in index order"""
    view: View
    data_seed: int | None
    """where the view draws"""
    chunk_images: int
    dtype: str
    device: str
    versions: str

    @functools.cached_property
    def name(self) -> str:
        """Of the entry."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:40]


def feature_key(
    data: ImageDataset, origin: Origin, blocks: int, view: View, device: torch.device, precision: Precision = "fp32"
) -> FeatureKey:
    """The key of the output of so many untouched blocks."""
    return FeatureKey(
        format=FORMAT,
        backbone=origin.backbone,
        code=_code(origin.backbone, view.augment),
        blocks=blocks,
        digests=origin.digests(blocks),
        image_size=data.image_size,
        images=data.images_hash,
        view=view,
        data_seed=data.data_seed if view.epoch else None,
        chunk_images=CHUNK_IMAGES,
        dtype=str(dtype_of(precision)).removeprefix("torch."),
        device=computed_on(device),
        versions=_versions(),
    )


def _code(backbone: str, augment: str) -> str:
    """Hash of the code that is neither torch's nor covered by FORMAT."""
    of_plugin = backbone_facts(backbone).library == "plugin" or not AUGMENTS[augment].apply.__module__.startswith(
        augmenting.__name__
    )
    plugins = [plugin.sha256 for plugin in loaded_plugins()] if of_plugin else []
    drawn = [_own_code()] if AUGMENTS[augment].draws else []
    return hashlib.sha256(" ".join([*plugins, *drawn]).encode()).hexdigest()


@functools.cache
def _own_code() -> str:
    files = [Path(str(module.__file__)).read_bytes() for module in (augmenting, views)]
    return hashlib.sha256(b"".join(files)).hexdigest()


def computed_on(device: torch.device) -> str:
    """What of a device may show in a result's last bits."""
    if device.type == "cuda":
        tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return f"{torch.cuda.get_device_name(device)}, tf32 {tf32}, cudnn {cudnn}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device.type} {platform.machine()} {capability}, {torch.get_num_threads()} threads"


@functools.cache
def _versions() -> str:
    return ", ".join(f"{library} {version(library)}" for library in ("torch", "torchvision", "timm"))
