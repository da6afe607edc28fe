"""From how a scheduler is written to what decides."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, assert_never

from search_spaces import schedulers
from tuner.ray_backend.halving.ladder import Ladder
from tuner.ray_backend.halving.one_epoch import OneEpoch
from tuner.ray_backend.halving.pausing import PausingAsha
from tuner.ray_backend.halving.protocol import Halving, NoHalving
from tuner.ray_backend.halving.stopping import StoppingAsha


def make_halving(
    scheduler: schedulers.Halving | schedulers.NoScheduler,
    max_epochs: float,
    direction: Literal["maximize", "minimize"],
    exempt: Collection[str] = (),
) -> Halving:
    """What decides for a scheduler.

    Args:
        max_epochs: the horizon, which all trials share
        exempt: trials that are never halted, such as the baseline
    """
    ladder = Ladder(scheduler.rungs(max_epochs), direction)
    match scheduler:
        case schedulers.NoScheduler():
            return NoHalving()
        case schedulers.Asha():
            return StoppingAsha(ladder, scheduler.reduction_factor, exempt)
        case schedulers.PausingAsha():
            return PausingAsha(ladder, scheduler.reduction_factor, eager=scheduler.eager, exempt=exempt)
        case schedulers.OneEpoch():
            return OneEpoch(ladder, scheduler.keep, exempt)
        case _:
            assert_never(scheduler)


def stratum_of(config: Mapping[str, Any], within: Sequence[str]) -> str:
    """What halving compares a trial within: equal for configs that have equal values at these dotted paths."""
    return json.dumps([_at(config, path) for path in within])


def _at(fields: Mapping[str, Any], path: str) -> Any:
    found: Any = fields
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
