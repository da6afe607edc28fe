"""From how a scheduler is written to what decides."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, assert_never

from search_spaces import schedulers
from tuner.ray_backend.halving.ladder import Ladder, rung_levels
from tuner.ray_backend.halving.one_epoch import OneEpoch
from tuner.ray_backend.halving.pausing import PausingAsha
from tuner.ray_backend.halving.protocol import Halving, NoHalving
from tuner.ray_backend.halving.stopping import StoppingAsha


def levels_of(scheduler: schedulers.Halving | schedulers.NoScheduler, max_epochs: float) -> tuple[float, ...]:
    """The epochs at which a scheduler decides, for trials of so many epochs."""
    match scheduler:
        case schedulers.NoScheduler():
            return ()
        case schedulers.OneEpoch():
            return (1,) if max_epochs > 1 else ()
        case schedulers.Asha() | schedulers.PausingAsha():
            return rung_levels(scheduler.grace_epochs, scheduler.reduction_factor, max_epochs)
        case _:
            assert_never(scheduler)


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
    ladder = Ladder(levels_of(scheduler, max_epochs), direction)
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
