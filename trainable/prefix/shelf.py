"""Pretrained backbones as their files have them: a process keeps the last ones, and trials borrow from them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from trainable.backbones import Backbone, backbone_facts, build_model, split_model
from trainable.weights import load_weights

if TYPE_CHECKING:
    from trainable.weights import Weights

KEPT = 2
"""backbones at once: a process may hold this many beside its trial's own"""


@dataclass(frozen=True)
class Origin:
    """What a classifier's blocks were before any training: where they come from, and what was in them."""

    backbone: str
    blocks: tuple[str, ...]
    """digest of each: equal for equal weights and buffers, whatever file they came from"""
    neck: str

    def digests(self, blocks: int) -> tuple[str, ...]:
        """Of the first blocks, and of the neck behind the last one."""
        return self.blocks[:blocks] + ((self.neck,) if blocks == len(self.blocks) else ())


@dataclass(frozen=True)
class Pristine:
    """A backbone that no trial has touched."""

    backbone: Backbone
    origin: Origin
    versions: tuple[int, ...]
    """torch's counters of changes to each tensor, when it was put on the shelf"""

    @property
    def untouched(self) -> bool:
        """Whether every tensor is still what it was."""
        return self.versions == _versions(self.backbone)

    def borrow(self, lent: int) -> Backbone:
        """The backbone for a trial that never trains the first `lent` blocks: it reads their memory and owns the rest.

        With all blocks the neck is lent too.
        """
        blocks, neck = self.backbone.blocks, self.backbone.neck
        parts = [*blocks[:lent], *([neck] if lent == len(blocks) else [])]
        # a module's copy takes what the memo holds for a tensor; modules themselves are always copied
        memo: dict[int, Any] = {id(tensor): _alias(tensor) for part in parts for tensor in _tensors(part)}
        blocks, neck = copy.deepcopy((blocks, neck), memo)
        return replace(self.backbone, blocks=blocks, neck=neck)


_SHELF: dict[tuple[str, str, int], Pristine] = {}


def pristine_backbone(name: str, weights: Weights, image_size: int) -> Pristine:
    """A backbone with its pretrained weights, from the shelf where it is one of the last used.

    Raises:
        UserError: as `load_weights` and `split_model`.
    """
    key = (name, weights.sha256, image_size)
    found = _SHELF.pop(key, None)
    if found is None or not found.untouched:
        facts = backbone_facts(name)
        model = build_model(facts)
        load_weights(facts, model, weights)
        found = as_pristine(name, split_model(facts, model, image_size))
    _SHELF[key] = found  # the last used is the last to go
    while len(_SHELF) > KEPT:
        del _SHELF[next(iter(_SHELF))]
    return found


def as_pristine(name: str, backbone: Backbone) -> Pristine:
    """A backbone as it is now, in the memory layout that trials use."""
    for part in (*backbone.blocks, backbone.neck):
        part.to(memory_format=torch.channels_last)
    scale = f"{backbone.mean} {backbone.std}"
    digests = [_digest(block, scale if number == 0 else "") for number, block in enumerate(backbone.blocks)]
    return Pristine(backbone, Origin(name, tuple(digests), _digest(backbone.neck, "")), _versions(backbone))


def _digest(part: nn.Module, more: str) -> str:
    found = hashlib.sha256(more.encode())
    for name, tensor in part.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def _tensors(part: nn.Module) -> Iterable[torch.Tensor]:
    yield from part.parameters()
    yield from part.buffers()


def _alias(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory under a name of its own: what moves it to a device or freezes it concerns the alias alone."""
    alias = tensor.detach()
    return nn.Parameter(alias, requires_grad=False) if isinstance(tensor, nn.Parameter) else alias


def _versions(backbone: Backbone) -> tuple[int, ...]:
    parts: Sequence[nn.Module] = (*backbone.blocks, backbone.neck)
    # loading a part of a model writes BatchNorm's counters of the rest over themselves
    return tuple(tensor._version for part in parts for tensor in _tensors(part) if tensor.is_floating_point())
