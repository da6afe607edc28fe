"""Train a chosen config on more images than it was chosen on, for as many optimiser steps as led to its best epoch."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from trainable.checkpoint import save_checkpoint
from trainable.config import TrialConfig
from trainable.data.batches import endless_batches
from trainable.devices import make_deterministic
from trainable.learner import Learner
from trainable.optim import PlateauSchedule, set_learning_rate
from trainable.precision import Precision
from trainable.stages import steps_until
from trainable.weights import Weights

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset


@dataclass(frozen=True)
class RetrainJob:
    """A trial's config, and what the trial found that cannot be found again without validation."""

    config: TrialConfig
    splits: tuple[str, ...]
    """of the data set, to train on together"""
    epochs: float
    """that led to the trial's best score; an epoch stays as many steps as it was in the trial"""
    steps_per_epoch: int
    """of the trial: `trainable.data.batches.steps_per_epoch(training images, config.batch_size)`"""
    thresholds: tuple[float, ...]
    """per label, carried over"""
    checkpoint: Path
    """the file to write, which `trainable.predict.load_model` reads"""
    weights: Weights | None
    precision: Precision = "fp32"
    """the trial's"""
    learning_rates: tuple[float, ...] | None = None
    """the `lr` that the trial reported for each epoch, from the first one on; needed by `plateau` alone"""
    parent: RetrainJob | None = None
    """of the trial that this one went on from, which is trained first; its `epochs` are all that it was trained"""


@dataclass(frozen=True)
class RetrainReport:
    """What retraining tells after each epoch of the schedule."""

    epoch: float
    steps: int
    """of the optimiser so far, parents' among them"""
    train_loss: float
    """unweighted and unsmoothed, mean over the epoch's images as they were trained on"""
    lr: float
    """at the epoch's first step"""
    seconds: float
    """since the start"""


def retrain(job: RetrainJob, data: ImageDataset, device: torch.device) -> Iterator[RetrainReport]:
    """Train on `job.splits`, giving a report after each epoch; the checkpoint is written after the last one.

    Raises:
        DivergedError: the loss became NaN or infinite.
        ValueError: a schedule that follows validation without the learning rates to follow, or too few of them.
    """
    make_deterministic()
    images = np.sort(np.concatenate([data.split[name] for name in job.splits]))
    trained = yield from _train(job, dataclasses.replace(data, split={"train": images}), device, time.perf_counter())
    _save(job, trained)


def _train(
    job: RetrainJob, data: ImageDataset, device: torch.device, began: float
) -> Generator[RetrainReport, None, Learner]:
    _require_learning_rates(job)
    images = data.split["train"]
    learner = Learner(job.config, data, device, job.weights, None, job.precision)
    before = 0
    if job.parent:
        before = _steps(job.parent)
        parent = yield from _train(job.parent, data, device, began)
        learner.begin_after(parent.state_dict(), math.ceil(job.parent.epochs), job.steps_per_epoch)
    batches = endless_batches(images, job.config.batch_size, job.config.seed)
    steps, total = 0, steps_until(job.config, job.epochs, job.steps_per_epoch)
    for epoch in range(1, math.ceil(job.epochs) + 1):
        learner.enter_stage_of(epoch, job.steps_per_epoch)
        if job.learning_rates and isinstance(job.config.schedule, PlateauSchedule):
            set_learning_rate(learner.optimizer, job.learning_rates[epoch - 1])
        lr = learner.lr
        chosen = list(islice(batches, min(job.steps_per_epoch, total - steps)))
        losses = learner.learn(chosen, epoch, first=0, key=epoch)
        steps += len(chosen)
        if epoch <= job.epochs:
            learner.end_epoch(chosen, epoch)
            learner.stepper.after_epoch(None)
        yield RetrainReport(min(epoch, job.epochs), before + steps, losses.unweighted, lr, time.perf_counter() - began)
    return learner


def _steps(job: RetrainJob) -> int:
    """Of a job and those before it."""
    own = steps_until(job.config, job.epochs, job.steps_per_epoch)
    return own + (_steps(job.parent) if job.parent else 0)


def _require_learning_rates(job: RetrainJob) -> None:
    follows_validation = isinstance(job.config.schedule, PlateauSchedule)
    if follows_validation and len(job.learning_rates or ()) < math.ceil(job.epochs):
        raise ValueError("a plateau schedule is retrained by the learning rates of the trial's epochs: give them all")


def _save(job: RetrainJob, learner: Learner) -> None:
    best = {"value": None, "epoch": job.epochs, "thresholds": list(job.thresholds)}
    save_checkpoint(job.checkpoint, learner.model_state(learner.scored) | {"epoch": job.epochs, "best": best})
