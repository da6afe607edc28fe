"""Train one classifier once: the loop, plain enough to read aloud."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from trainable.checkpoint import load_checkpoint, save_checkpoint
from trainable.classifier import Classifier, build_classifier
from trainable.config import Stage, TrialConfig
from trainable.data.features import PrefixFeatures
from trainable.data.views import shuffled
from trainable.errors import UserError
from trainable.evaluation import Evaluation, Evaluator, save_predictions, split_logits
from trainable.freezing import CHUNK_IMAGES, blocks_to_freeze, parameter_groups
from trainable.losses import unweighted_loss
from trainable.metrics import Objective
from trainable.optim import Stepper
from trainable.weights import Weights

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset
    from trainable.losses import LossFunction


class DivergedError(Exception):
    """The loss is no longer a number: a bad config, not a fault."""


@dataclass(frozen=True)
class TrialFiles:
    """Where a trial keeps what it writes."""

    checkpoints: Path
    """folder of `best.pt` and `last.pt`"""
    predictions: Path
    """validation logits of the best epoch, .npz"""

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.pt"

    @property
    def last(self) -> Path:
        return self.checkpoints / "last.pt"


@dataclass(frozen=True)
class TrialJob:
    """One trial to train: its config, and what the search decides for all trials alike."""

    config: TrialConfig
    objective: Objective
    files: TrialFiles
    weights: Weights | None
    last_epoch: int | None = None
    """train this many epochs of the horizon `config.epochs`, patience notwithstanding; None: all of it"""
    patience_from_epoch: int = 0
    """patience ends no trial before this epoch (ASHA's first rung)"""


@dataclass(frozen=True)
class EpochReport:
    """What a trial tells after each epoch; times in seconds, memory in GiB."""

    epoch: int
    value: float
    """the objective at this epoch"""
    best_value: float
    best_epoch: int
    val: dict[str, float]
    train_loss: float
    """unweighted and unsmoothed, mean over the images as they were trained on"""
    train_loss_weighted: float
    """what the optimiser saw"""
    lr: float
    seconds: float
    """since the trial began, over all its runs"""
    images_per_second: float
    peak_memory_gib: float
    trained_parameters: int
    total_parameters: int
    device: str
    status: Literal["running", "complete", "early_stopped"]
    per_label: dict[str, dict[str, float]] = field(default_factory=dict)
    """of a new best epoch; else empty"""
    labels_left_out: list[str] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    """of a new best epoch; else empty"""


def train_trial(
    job: TrialJob, data: ImageDataset, device: torch.device, *, resume: bool = False
) -> Iterator[EpochReport]:
    """Train a trial, giving a report after each epoch; whoever iterates may stop at any of them.

    The state after each epoch, its report included, is in `job.files` before that report is given: stopped anywhere,
    `resume=True` gives the last saved report again, since its reader may be gone, and then what an uninterrupted run
    would have given.

    Raises:
        DivergedError: the loss became NaN or infinite.
        UserError: weights that do not fit, a freeze beyond the blocks of a timm model, nothing to resume, an objective
            that is undefined on the validation images.
    """
    config = job.config
    make_deterministic()
    classifier = build_classifier(config, len(data.labels), job.weights).to(device)
    run = _Run(job, data, device, classifier)
    last_epoch = job.last_epoch or config.epochs
    if resume:
        report = run.restore(last_epoch)
        yield report
        if report.status != "running":
            return
    while run.epoch < last_epoch:
        began = time.perf_counter()
        run.enter_stage()
        losses = run.train_epoch()
        evaluation = run.evaluate()
        run.stepper.after_epoch(evaluation.metrics["loss"])
        epoch_seconds = time.perf_counter() - began
        run.seconds += epoch_seconds
        report = run.report(losses, evaluation, run.status(last_epoch), epoch_seconds)
        run.save(report)
        yield report
        if report.status != "running":
            return


def make_deterministic() -> None:
    """The same numbers on every run with the same seeds, device type and threads (rule 6)."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # single precision is single precision on every GPU (rule 10)
    torch.backends.cuda.matmul.allow_tf32 = False


class _Run:
    """The state of one trial while it trains."""

    stepper: Stepper
    optimizer: torch.optim.Optimizer
    features: PrefixFeatures

    def __init__(self, job: TrialJob, data: ImageDataset, device: torch.device, classifier: Classifier) -> None:
        self.job = job
        self.config = job.config
        self.data = data
        self.device = device
        self.classifier = classifier
        self.evaluator = Evaluator(job.config, data, job.objective)
        self.epoch = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {"value": None, "epoch": 0}
        self.first_trained_block = len(classifier.blocks)
        self._stage_number: int | None = None
        self._lr = 0.0
        images = data.split["train"]
        self.loss: LossFunction = self.config.loss.build(data.task, data.positives("train"), len(images), device)

    def enter_stage(self, optimizer_state: dict[str, Any] | None = None) -> None:
        """Freeze and build the optimiser if the next epoch begins a stage (or a resumed run is amid one)."""
        number, stage = stage_of(self.config, self.epoch + 1)
        if number == self._stage_number:
            return
        self._stage_number = number
        config = self.config
        blocks = len(self.classifier.blocks)
        assert stage.freeze is not None  # a plan's stages are filled in
        assert stage.lr is not None
        frozen = blocks_to_freeze(stage.freeze, blocks, config.backbone)
        self.classifier.freeze(frozen, batch_norm_frozen=config.batch_norm == "frozen")
        self.first_trained_block = min(self.first_trained_block, frozen)
        head_lr = stage.lr * config.optimizer.head_lr_multiplier
        groups = parameter_groups(self.classifier, stage.lr, head_lr, config.optimizer.weight_decay)
        self.optimizer = config.optimizer.build(groups)
        steps = len(self._batches(1))
        self.stepper = config.schedule.build(self.optimizer, stage.epochs, steps)
        self.features = PrefixFeatures(self.classifier, self.data, self.device)
        if optimizer_state:
            self.optimizer.load_state_dict(optimizer_state["optimizer"])
            self.stepper.load_state_dict(optimizer_state["stepper"])

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches of image indices, in an order keyed by seed and epoch."""
        images = shuffled(self.data.split["train"], self.config.seed, epoch)
        size = self.config.batch_size
        batches = np.split(images, range(size, len(images), size))
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches.pop()  # BatchNorm cannot train on a single image; another epoch's order leaves out another one
        return batches

    def train_epoch(self) -> tuple[float, float]:
        """One pass over the training images: mean unweighted loss, mean weighted loss."""
        self.epoch += 1
        # dropout and stochastic depth draw from here: keyed by epoch, they need not be stored to resume
        torch.manual_seed(self.config.seed * 1_000_003 + self.epoch)
        self.classifier.train()
        self._lr = self.optimizer.param_groups[0]["lr"]
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        images = 0
        for batch, features in self._batches_with_features():
            self.optimizer.zero_grad(set_to_none=True)
            # parts of nearly equal size: BatchNorm cannot train on a single image that is left over
            parts = math.ceil(len(batch) / (self.config.micro_batch or len(batch)))
            for part in np.array_split(np.arange(len(batch)), parts):
                chosen = slice(part[0], part[-1] + 1)
                sums += self._backward(batch[chosen], features[chosen], len(batch))
            self.optimizer.step()
            self.stepper.after_step()
            images += len(batch)
        unweighted, weighted = (sums / images).tolist()
        if not math.isfinite(weighted):
            raise DivergedError(f"diverged: the training loss is {weighted} in epoch {self.epoch}")
        return unweighted, weighted

    def _batches_with_features(self) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """The epoch's batches with their features; small batches share a chunk of the prefix, which fills it."""
        batches = self._batches(self.epoch)
        together = math.ceil(CHUNK_IMAGES / self.config.batch_size)
        for start in range(0, len(batches), together):
            several = batches[start : start + together]
            features = self.features.view(np.concatenate(several), self.config.augment, self.epoch)
            yield from zip(several, torch.split(features, [len(batch) for batch in several]), strict=True)

    def _backward(self, images: np.ndarray, features: torch.Tensor, batch_images: int) -> torch.Tensor:
        """Add the gradients of some of a batch's images; the sums of their losses, unweighted and weighted, `[2]`."""
        targets = torch.from_numpy(self.data.targets[images]).to(self.device)
        logits = self.classifier.suffix(features)
        loss = self.loss(logits, targets)
        (loss * (len(images) / batch_images)).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            unweighted = unweighted_loss(logits, targets, self.data.task)
            return torch.stack([unweighted, loss]).double() * len(images)

    def evaluate(self) -> Evaluation:
        """Score validation; keep the epoch's model and predictions if it is the best so far."""
        logits = split_logits(self.classifier, self.features, self.data.split["val"])
        if not torch.isfinite(logits).all():
            raise DivergedError(f"diverged: a validation output is not a number in epoch {self.epoch}")
        evaluation = self.evaluator.validation(logits, with_fitted=True)
        if not math.isfinite(evaluation.value):
            raise UserError(
                f"{self.job.objective.metric} is undefined on the validation images: no label there can be told apart; "
                "choose another objective or split"
            )
        if self.job.objective.better(evaluation.value, self.best["value"]):
            self.best = {"value": evaluation.value, "epoch": self.epoch, "thresholds": evaluation.thresholds}
            save_checkpoint(self.job.files.best, self._model_state() | {"epoch": self.epoch, "best": self.best})
            save_predictions(self.job.files.predictions, logits, self.data, "val")
        return evaluation

    def status(self, last_epoch: int) -> Literal["running", "complete", "early_stopped"]:
        """Whether the trial goes on after this epoch."""
        if self.epoch >= last_epoch:
            return "complete"
        patience = self.config.patience_epochs
        if self.job.last_epoch or patience is None or self.epoch < self.job.patience_from_epoch:
            return "running"
        # only the last stage may be cut short: a warm-up that has settled is what the next stage waits for
        last_stage_began = self.config.epochs - self.config.plan[-1].epochs
        without_better = self.epoch - max(self.best["epoch"], last_stage_began)
        return "early_stopped" if without_better >= patience else "running"

    def report(
        self,
        losses: tuple[float, float],
        evaluation: Evaluation,
        status: Literal["running", "complete", "early_stopped"],
        epoch_seconds: float,
    ) -> EpochReport:
        is_best = self.best["epoch"] == self.epoch
        parameters = list(self.classifier.parameters())
        images = len(self.data.split["train"]) + len(self.data.split["val"])
        return EpochReport(
            epoch=self.epoch,
            value=evaluation.value,
            best_value=self.best["value"],
            best_epoch=self.best["epoch"],
            val=evaluation.metrics,
            train_loss=losses[0],
            train_loss_weighted=losses[1],
            lr=self._lr,
            seconds=self.seconds,
            images_per_second=images / epoch_seconds,
            peak_memory_gib=peak_memory_gib(self.device),
            trained_parameters=sum(p.numel() for p in parameters if p.requires_grad),
            total_parameters=sum(p.numel() for p in parameters),
            device=device_name(self.device),
            status=status,
            per_label=evaluation.per_label if is_best else {},
            labels_left_out=evaluation.labels_left_out if is_best else [],
            thresholds=evaluation.thresholds if is_best else [],
        )

    def _model_state(self) -> dict[str, Any]:
        """What training has changed so far, and what it takes to use it; frozen blocks are their pretrained selves."""
        untouched = tuple(f"blocks.{block}." for block in range(self.first_trained_block))
        state = self.classifier.state_dict()
        return {
            "model": {name: tensor for name, tensor in state.items() if not name.startswith(untouched)},
            "config": self.config.model_dump(mode="json"),
            "labels": list(self.data.labels),
            "task": self.data.task,
            "weights_sha256": self.job.weights.sha256 if self.job.weights else None,
        }

    def save(self, report: EpochReport) -> None:
        """Write what a resumed run needs."""
        save_checkpoint(
            self.job.files.last,
            self._model_state()
            | {
                "epoch": self.epoch,
                "seconds": self.seconds,
                "best": self.best,
                "first_trained_block": self.first_trained_block,
                "optimizer": self.optimizer.state_dict(),
                "stepper": self.stepper.state_dict(),
                "report": asdict(report),
            },
        )

    def restore(self, last_epoch: int) -> EpochReport:
        """Go on from the last saved epoch, unless the trial had ended with it; that epoch's report."""
        saved = load_checkpoint(self.job.files.last)
        self.epoch, self.seconds, self.best = saved["epoch"], saved["seconds"], saved["best"]
        self.first_trained_block = saved["first_trained_block"]
        self.classifier.load_state_dict(saved["model"], strict=False)
        report = EpochReport(**{**saved["report"], "status": self.status(last_epoch)})
        if report.status == "running" and stage_of(self.config, self.epoch) == stage_of(self.config, self.epoch + 1):
            self.enter_stage(saved)
        return report


def stage_of(config: TrialConfig, epoch: int) -> tuple[int, Stage]:
    """The stage that an epoch (from 1) belongs to, with its number in the plan (from 0)."""
    ends = 0
    for number, stage in enumerate(config.plan):
        ends += stage.epochs
        if epoch <= ends:
            return number, stage
    raise ValueError(f"epoch {epoch} is beyond the {ends} epochs of the plan")


def peak_memory_gib(device: torch.device) -> float:
    """On a GPU the most memory that tensors took; on a CPU the process's resident memory now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    import psutil

    return float(psutil.Process().memory_info().rss / 2**30)


def device_name(device: torch.device) -> str:
    """`cpu`, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def trial_device() -> torch.device:
    """The device of this process: the first visible GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
