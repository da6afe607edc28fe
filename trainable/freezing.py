"""What is frozen when: how a config's `freeze` becomes a number of blocks, and the frozen prefix's one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from trainable.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trainable.classifier import Classifier
    from trainable.optim import ParameterGroups

CHUNK_IMAGES = 32
"""The frozen prefix always sees this many images at once (padded), so that a batch's company changes no bit."""


def _parse_freeze(given: object) -> object:
    """`all`, a count of blocks or a share such as `50%`, checked; what it means depends on the backbone."""
    if given == "all" or (isinstance(given, int) and not isinstance(given, bool) and given >= 0):
        return given
    if isinstance(given, str) and given.endswith("%"):
        share = given[:-1].strip()
        if share.replace(".", "", 1).isdecimal() and 0 <= float(share) <= 100:
            return f"{share}%"
    raise ValueError("must be a number of blocks (0 or more), 'all', or a share of the blocks such as '50%'")


Freeze = Annotated[int | str, BeforeValidator(_parse_freeze)]


def blocks_to_freeze(freeze: int | str, blocks: int, backbone: str) -> int:
    """The number of leading blocks that `freeze` means for a backbone of so many blocks.

    Raises:
        UserError: more blocks than there are.
    """
    if freeze == "all":
        return blocks
    if isinstance(freeze, str):
        return int(blocks * float(freeze.rstrip("%")) / 100)
    if freeze > blocks:
        raise UserError(
            f"freeze: {freeze} is more than the {blocks} blocks of {backbone}; give 0 to {blocks}, or 'all'"
        )
    return freeze


def frozen_features(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """Output of the frozen prefix for `images` (`[n, 3, size, size]` in 0..1), in fixed padded chunks.

    The same shapes reach every kernel whatever the batch, so an image's features do not depend on its company:
    cached, recomputed, or in another order, they are the same.
    """
    import torch

    if not classifier.frozen:
        with torch.no_grad():
            return classifier.prefix(images)  # only normalises, pixel by pixel
    return as_features(prefix_rows(classifier, images, 0, (classifier.frozen,))[classifier.frozen])


def prefix_rows(
    classifier: Classifier,
    x: torch.Tensor,
    start: int,
    stops: Sequence[int],
    heed: Callable[[int], None] = lambda _: None,
) -> dict[int, torch.Tensor]:
    """Output of the blocks before each of `stops`, as rows (see `as_features`), in fixed padded chunks.

    Args:
        x: output of the blocks before `start`; of none, pictures in 0..1.
        stops: ascending, above `start`.
        heed: told of each stop as a chunk has passed it.
    """
    import torch

    rows: dict[int, torch.Tensor] = {}
    with torch.no_grad():
        for first in range(0, len(x), CHUNK_IMAGES):
            chunk = as_rows(x[first : first + CHUNK_IMAGES])
            padded = chunk.new_zeros(CHUNK_IMAGES, *chunk.shape[1:])
            padded[: len(chunk)] = chunk
            here, passed = as_features(padded), start
            for stop in stops:
                here, passed = classifier.between(here, passed, stop), stop
                found = as_rows(here[: len(chunk)])
                if stop not in rows:
                    rows[stop] = found.new_empty(len(x), *found.shape[1:])
                rows[stop][first : first + len(chunk)] = found
                heed(stop)
    return rows


def as_rows(features: torch.Tensor) -> torch.Tensor:
    """Feature maps `[n, channels, height, width]` with channels last, `[n, ...]` of any other shape as they are."""
    return features.permute(0, 2, 3, 1) if features.ndim == 4 else features


def as_features(rows: torch.Tensor) -> torch.Tensor:
    """The inverse of `as_rows`, without a copy: rows that are contiguous give feature maps that convolutions like."""
    return rows.permute(0, 3, 1, 2) if rows.ndim == 4 else rows


def parameter_groups(
    classifier: Classifier, lr: float, head_lr: float, weight_decay: float, block_lr_decay: float = 1.0
) -> ParameterGroups:
    """Trained parameters as optimiser groups: blocks and head at their rates, decay on matrices only.

    The last block (the neck with it) comes first, at `lr`; each block before it at `block_lr_decay` times the rate of
    the one after it.
    """
    by_rate: dict[float, list[nn.Module]] = {}
    last = len(classifier.blocks) - 1
    for place, module in enumerate(classifier.trained_backbone, start=classifier.frozen):
        by_rate.setdefault(lr * block_lr_decay ** max(0, last - place), []).append(module)
    groups: ParameterGroups = []
    of_blocks = [(by_rate[rate], rate) for rate in sorted(by_rate, reverse=True)]
    for modules, rate in [*of_blocks, ([classifier.head], head_lr)]:
        for decays, decay in ((True, weight_decay), (False, 0.0)):
            chosen = [p for p in _parameters(modules) if p.requires_grad and (p.ndim >= 2) == decays]
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups


def _parameters(modules: list[nn.Module]) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters()]
