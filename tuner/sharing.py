"""Which features the trials of a space have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search_spaces.space import Space
from trainable.backbones import count_blocks
from trainable.config import TrialConfig
from trainable.freezing import blocks_to_freeze


def frozen_depths(space: Space) -> dict[str, list[int]]:
    """Backbone -> the numbers of leading blocks that its trials may have frozen, ascending.

    Raises:
        UserError: as `count_blocks`.
    """
    depths: dict[str, set[int]] = {}
    for backbone, freeze in [*_of(space.baseline_config()), *_occurring(space)]:
        depths.setdefault(backbone, set()).add(blocks_to_freeze(freeze, count_blocks(backbone), backbone))
    return {backbone: sorted(found) for backbone, found in depths.items()}


def shared_depths(space: Space) -> dict[str, list[int]]:
    """Those of `frozen_depths` at which there are features to share: not 0.

    Raises:
        UserError: as `count_blocks`.
    """
    return {backbone: [depth for depth in depths if depth] for backbone, depths in frozen_depths(space).items()}


def _of(config: TrialConfig) -> Iterator[tuple[str, int | str]]:
    yield from ((config.backbone, stage.freeze) for stage in config.plan if stage.freeze is not None)


def _occurring(space: Space) -> Iterator[tuple[str, int | str]]:
    paths = ("backbone", "freeze", "stages", "head_warmup_epochs")
    found: list[tuple[Any, ...]] = space.occurring(*paths, values=lambda axis: axis.values() or ())
    for backbone, freeze, stages, warmup in found:
        frozen = [stage.get("freeze") for stage in stages or () if isinstance(stage, Mapping)]
        for depth in [freeze, *frozen, *(["all"] if warmup else [])]:
            if depth is not None:
                yield backbone, depth
