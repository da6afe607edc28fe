"""A trial's course: which stage an epoch belongs to, and after which steps the trial is scored."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainable.config import Stage, TrialConfig
from trainable.freezing import blocks_to_freeze


def stage_of(config: TrialConfig, epoch: float) -> tuple[int, Stage]:
    """The stage that an epoch (from 1, or a part of the first) belongs to, with its number in the plan (from 0)."""
    ends = 0
    for number, stage in enumerate(config.plan):
        ends += stage.epochs
        if epoch <= ends:
            return number, stage
    raise ValueError(f"epoch {epoch:g} is beyond the {ends} epochs of the plan")


def frozen_in(stage: Stage, config: TrialConfig, blocks: int) -> int:
    """How many of the backbone's blocks a stage of the config's plan freezes.

    Raises:
        UserError: more than there are.
    """
    assert stage.freeze is not None  # a plan's stages are filled in
    return blocks_to_freeze(stage.freeze, blocks, config.backbone)


def least_frozen(config: TrialConfig, blocks: int) -> int:
    """How many of the backbone's blocks the stage that trains most freezes. Raises UserError as `frozen_in`."""
    return min(frozen_in(stage, config, blocks) for stage in config.plan)


def trains_most(config: TrialConfig, epoch: float, blocks: int) -> bool:
    """Whether a trial has come to the stage that trains most. Raises UserError as `frozen_in`."""
    number, _ = stage_of(config, epoch)
    least = least_frozen(config, blocks)
    return any(frozen_in(stage, config, blocks) == least for stage in config.plan[: number + 1])


def next_epoch(trained: float) -> int:
    """The epoch (from 1) that a trial is in, or begins, after so many epochs."""
    return math.floor(trained) + 1


@dataclass(frozen=True)
class Part:
    """A stretch of an epoch's steps, after which the trial is scored: the whole of it, but for the first epoch."""

    epoch: int
    """from 1"""
    first: int
    """number of its first step, from 0"""
    stop: int
    """number of the step after its last one"""
    trained: float
    """epochs trained when it is over; an int at the end of an epoch"""

    @property
    def ends_epoch(self) -> bool:
        return self.trained == self.epoch


def next_part(config: TrialConfig, trained: float, steps: int) -> Part:
    """What a trial does after so many epochs, until it is scored next.

    Args:
        steps: of the optimiser in an epoch. A part of the first epoch ends with the step that completes it; parts that
            end with the same step are scored once, as the last of them.
    """
    epoch = next_epoch(trained)
    evaluations = config.first_epoch_evaluations if epoch == 1 else 1
    ends = {math.ceil(steps * part / evaluations): part for part in range(1, evaluations + 1)}
    first = 0
    for stop, part in ends.items():
        reached = epoch if part == evaluations else part / evaluations
        if reached > trained:
            return Part(epoch, first, stop, reached)
        first = stop
    raise AssertionError("the last part ends the epoch, which is beyond what is trained")


def steps_until(config: TrialConfig, trained: float, steps: int) -> int:
    """The optimiser steps that lead to the evaluation after so many epochs, at `steps` an epoch."""
    whole = math.floor(trained)
    if trained == whole:
        return whole * steps
    return math.ceil(steps * round(trained * config.first_epoch_evaluations) / config.first_epoch_evaluations)
