"""Train one classifier once: the loop, plain enough to read aloud."""

from __future__ import annotations

import math
import shutil
import socket
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from trainable.checkpoint import load_checkpoint, save_checkpoint
from trainable.data.batches import epoch_batches, steps_per_epoch
from trainable.devices import device_name, gpu_memory_gib, make_deterministic, peak_memory_gib
from trainable.errors import DivergedError, UserError
from trainable.evaluation import Evaluation, Evaluator, save_predictions, split_logits
from trainable.job import EpochReport, Status, TrialFiles, TrialJob
from trainable.learner import Learner, Losses
from trainable.stages import next_epoch, next_part

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset


def train_trial(
    job: TrialJob, data: ImageDataset, device: torch.device, *, resume: bool = False
) -> Generator[EpochReport, None, None]:
    """Train a trial, giving a report each time it is scored; whoever iterates may stop at any of them.

    The state at a report, which is part of it, is in `job.files` before that report is given where it is the last one
    or of a rung, or where more than `job.save_every_seconds` could be lost with the next one; else when the iterator is
    closed. Stopped anywhere, `resume=True` gives the last saved report again, since its reader may be gone, and then
    what an uninterrupted run would have given.

    Raises:
        DivergedError: the loss became NaN or infinite.
        UserError: weights that do not fit, a freeze beyond the blocks of a timm model, nothing to resume, an objective
            that is undefined on the validation images.
        OSError: its files cannot be written, on closing too; those that were saved before are as they were.
    """
    make_deterministic()
    run = _Run(job, data, device)
    if resume:
        report = run.restore()
        yield report
        if report.status != "running":
            return
    elif job.lineage:
        run.begin_after(_end_of_parent(job, data, device))
    else:
        run.decide_compute()
    try:
        while run.status() == "running":
            began = time.perf_counter()
            lr, losses = run.learn()
            evaluation = run.evaluate()
            seconds = time.perf_counter() - began
            report = run.report(lr, losses, evaluation, seconds=seconds)
            run.save_if_due(report, next_seconds=seconds)
            yield report
    except GeneratorExit:  # nobody wants the next report: the state is that of the last one
        run.save()
        raise
    finally:
        run.write_best()  # also where training has failed since


def _end_of_parent(job: TrialJob, data: ImageDataset, device: torch.device) -> dict[str, Any]:
    """The state in which the trial that this one goes on from ended; it is trained again where that is gone."""
    *older, parent = job.lineage
    if parent.state is not None and parent.state.exists():
        return load_checkpoint(parent.state)
    folder = job.files.checkpoints / "parent"
    files = TrialFiles(folder, folder / "predictions.npz")
    again = replace(job, config=parent.config, files=files, last_epoch=parent.epochs, rungs=(), lineage=tuple(older))
    for _ in train_trial(again, data, device, resume=files.last.exists()):
        """Its reports have been given before."""
    state = load_checkpoint(files.last)
    shutil.rmtree(folder)
    return state


@dataclass(frozen=True)
class _Best:
    """The best epoch so far: what `best.pt` is to hold, and the validation images' logits and decisions."""

    state: dict[str, Any]
    logits: torch.Tensor
    decisions: npt.NDArray[np.uint8]

    def held(self) -> _Best:
        """The same, with a copy of the weights in main memory: training goes on changing them."""
        model = {name: tensor.to("cpu", copy=True) for name, tensor in self.state["model"].items()}
        return replace(self, state=self.state | {"model": model})


class _Run:
    """One trial while it trains: what learns, how far it has come, and its best so far."""

    def __init__(self, job: TrialJob, data: ImageDataset, device: torch.device) -> None:
        self.job = job
        self.config = job.config
        self.data = data
        self.device = device
        self.learner = Learner(job.config, data, device, job.weights, job.sharing, job.precision)
        self.evaluator = Evaluator(job.config, data, job.objective)
        self.steps_per_epoch = steps_per_epoch(len(data.split["train"]), job.config.batch_size)
        self.epoch: float = 0
        self.step = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {"value": None, "epoch": 0}
        self._unwritten_best: _Best | None = None
        self._unsaved: EpochReport | None = None
        self._saved_epoch: float = 0
        self._saved_at = time.monotonic()

    def decide_compute(self) -> None:
        """As the job says, or as is fastest for as many steps as the trial will take at least."""
        epochs = min(self.job.rungs, default=self.job.last_epoch or self.config.epochs)
        steps = math.ceil(epochs * self.steps_per_epoch)
        self.learner.compute = self.job.compute or self.learner.fastest_compute(steps)

    def begin_after(self, state: dict[str, Any]) -> None:
        """Begin where another trial ended."""
        self.learner.begin_after(state, math.ceil(state["epoch"]), self.steps_per_epoch)

    def learn(self) -> tuple[float, Losses]:
        """Train until the trial is to be scored next: the learning rate that it began with, and the losses."""
        part = next_part(self.config, self.epoch, self.steps_per_epoch)
        seen = self.learner.epochs_before + part.epoch
        batches = epoch_batches(self.data.split["train"], self.config.batch_size, self.config.seed, seen)
        self.step += 1
        self.learner.enter_stage_of(part.epoch, self.steps_per_epoch)
        lr = self.learner.lr
        key = self.learner.epochs_before + self.step
        losses = self.learner.learn(batches[part.first : part.stop], part.epoch, first=part.first, key=key)
        if part.ends_epoch:
            self.learner.end_epoch(batches, part.epoch)
        self.epoch = part.trained
        return lr, losses

    def evaluate(self) -> Evaluation:
        """Score validation, on which the schedule may wait; keep model and predictions if they are the best so far."""
        classifier = self.learner.scored
        images, at_once = self.data.split["val"], self.config.images_at_once
        logits = split_logits(classifier, self.learner.features, images, at_once)
        if not torch.isfinite(logits).all():
            raise DivergedError(f"diverged: a validation output is not a number in epoch {self.epoch:g}")
        evaluation = self.evaluator.validation(logits, with_fitted=True)
        if not math.isfinite(evaluation.value):
            raise UserError(
                f"{self.job.objective.metric} is undefined on the validation images: no label there can be told apart; "
                "choose another objective or split"
            )
        if self.job.objective.better(evaluation.value, self.best["value"]):
            self.best = {"value": evaluation.value, "epoch": self.epoch, "thresholds": evaluation.thresholds}
            state = self.learner.model_state(classifier) | {"epoch": self.epoch, "best": self.best}
            self._unwritten_best = _Best(state, logits, evaluation.decisions)
        if self.epoch == math.floor(self.epoch):
            self.learner.stepper.after_epoch(evaluation.metrics["loss"])
        return evaluation

    def status(self) -> Status:
        """Whether the trial goes on from here."""
        if self.epoch >= (self.job.last_epoch or self.config.epochs):
            return "complete"
        patience = self.config.patience_epochs
        if self.job.last_epoch or patience is None or self.epoch < self.job.patience_from_epoch:
            return "running"
        # only the last stage may be cut short: a warm-up that has settled is what the next stage waits for
        last_stage_began = self.config.epochs - self.config.plan[-1].epochs
        without_better = self.epoch - max(math.ceil(self.best["epoch"]), last_stage_began)
        return "early_stopped" if without_better >= patience else "running"

    def report(self, lr: float, losses: Losses, evaluation: Evaluation, *, seconds: float) -> EpochReport:
        """What is to be told after so many more seconds."""
        self.seconds += seconds
        is_best = self.best["epoch"] == self.epoch
        parameters = list(self.learner.classifier.parameters())
        return EpochReport(
            epoch=self.epoch,
            step=self.step,
            value=evaluation.value,
            best_value=self.best["value"],
            best_epoch=self.best["epoch"],
            val=evaluation.metrics,
            train_loss=losses.unweighted,
            train_loss_weighted=losses.weighted,
            lr=lr,
            seconds=self.seconds,
            images_per_second=(losses.images + len(self.data.split["val"])) / seconds,
            peak_memory_gib=peak_memory_gib(self.device),
            trained_parameters=sum(p.numel() for p in parameters if p.requires_grad),
            total_parameters=sum(p.numel() for p in parameters),
            device=device_name(self.device),
            status=self.status(),
            node=socket.gethostname(),
            gpu_memory_gib=gpu_memory_gib(self.device),
            per_label=evaluation.per_label if is_best else {},
            labels_left_out=evaluation.labels_left_out if is_best else [],
            thresholds=evaluation.thresholds if is_best else [],
            compute=self.learner.compute.model_dump(),
            features=self.learner.counts.take(),
            warning=self.learner.counts.warning,
        )

    def save_if_due(self, report: EpochReport, *, next_seconds: float) -> None:
        """Save before this report is given, or hold in memory what the next step of training would change.

        Args:
            next_seconds: that the next step is expected to take
        """
        self._unsaved = report
        # three times a tenth of an epoch is a little more than 0.3
        at_rung = any(self._saved_epoch < rung <= self.epoch + 1e-9 for rung in self.job.rungs)
        too_much = time.monotonic() - self._saved_at + next_seconds > self.job.save_every_seconds
        if report.status != "running" or at_rung or too_much:
            self.save()
        elif self._unwritten_best and self.best["epoch"] == self.epoch:
            self._unwritten_best = self._unwritten_best.held()

    def save(self) -> None:
        """Write the best so far and what a resumed run needs, as they were at the last report."""
        self.write_best()
        if self._unsaved is None:
            return
        reached = {"epoch": self.epoch, "step": self.step, "seconds": self.seconds, "best": self.best}
        save_checkpoint(self.job.files.last, self.learner.state_dict() | reached | {"report": asdict(self._unsaved)})
        self._unsaved, self._saved_epoch, self._saved_at = None, self.epoch, time.monotonic()

    def write_best(self) -> None:
        """Write model and predictions of the best epoch, unless they are written."""
        best = self._unwritten_best
        if best:
            save_checkpoint(self.job.files.best, best.state)
            save_predictions(self.job.files.predictions, best.logits, best.decisions, self.data, "val")
        self._unwritten_best = None

    def restore(self) -> EpochReport:
        """Be where the last saved report was given; that report, with the status that it has now."""
        saved = load_checkpoint(self.job.files.last)
        self.epoch, self.step = saved["epoch"], saved["step"]
        self.seconds, self.best, self._saved_epoch = saved["seconds"], saved["best"], saved["epoch"]
        report = EpochReport(**{**saved["report"], "status": self.status()})
        if report.status == "running":
            self.learner.load_state_dict(saved, next_epoch(self.epoch), self.steps_per_epoch)
        return report
