"""What one trial is asked to do, where it writes, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainable.compute import PLAIN, Compute
from trainable.config import TrialConfig
from trainable.metrics import Objective
from trainable.precision import Precision
from trainable.prefix.planner import Sharing
from trainable.weights import Weights

Status = Literal["running", "complete", "early_stopped"]


@dataclass(frozen=True)
class TrialFiles:
    """Where a trial keeps what it writes."""

    checkpoints: Path
    """folder of `best.pt` and `last.pt`"""
    predictions: Path
    """validation logits and decisions of the best epoch, .npz"""

    @property
    def test_predictions(self) -> Path:
        """those of the test split, once it has been read"""
        return self.predictions.with_suffix(".test.npz")

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.pt"

    @property
    def last(self) -> Path:
        return self.checkpoints / "last.pt"


@dataclass(frozen=True)
class Ancestor:
    """A trial where another one begins."""

    config: TrialConfig
    epochs: float
    """that it was trained"""
    state: Path | None = None
    """its `last.pt`; where there is none it is trained again"""


@dataclass(frozen=True)
class TrialJob:
    """One trial to train: its config, and what the search decides for all trials alike."""

    config: TrialConfig
    objective: Objective
    files: TrialFiles
    weights: Weights | None
    last_epoch: float | None = None
    """train this many epochs of the horizon `config.epochs`, patience notwithstanding; None: all of it"""
    sharing: Sharing = field(default_factory=Sharing)
    """who else in the search wants features of the same images"""
    patience_from_epoch: float = 0
    """patience ends no trial before this epoch (ASHA's first rung)"""
    rungs: tuple[float, ...] = ()
    """epochs after which a scheduler may stop or pause the trial: its files are written before it tells of them"""
    save_every_seconds: float = 20
    """how much work may be lost where a process is killed; writing at every epoch would cost more than a small one"""
    precision: Precision = "fp32"
    compute: Compute | None = PLAIN
    """how the suffix is computed; None: as a probe on this machine finds fastest"""
    lineage: tuple[Ancestor, ...] = ()
    """trials that go on from one another, the first one first; this one goes on from the last"""


@dataclass(frozen=True)
class EpochReport:
    """What a trial tells after each epoch, and within its first one if asked to; times in seconds, memory in GiB."""

    epoch: float
    """epochs trained, an int at the end of an epoch"""
    step: int
    """number of this evaluation, from 1"""
    value: float
    """the objective at this epoch"""
    best_value: float
    best_epoch: float
    val: dict[str, float]
    train_loss: float
    """unweighted and unsmoothed, mean since the last report over the images as they were trained on"""
    train_loss_weighted: float
    """what the optimiser saw"""
    lr: float
    """of the last block, or of the head where only it is trained, at the first step since the last report"""
    seconds: float
    """since the trial began, over all its runs"""
    images_per_second: float
    peak_memory_gib: float
    trained_parameters: int
    total_parameters: int
    device: str
    status: Status
    node: str
    """the machine's name"""
    gpu_memory_gib: float | None
    """of the whole GPU; None: there is none"""
    per_label: dict[str, dict[str, float]] = field(default_factory=dict)
    """of a new best epoch; else empty"""
    labels_left_out: list[str] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    """of a new best epoch; else empty"""
    compute: dict[str, str] = field(default_factory=dict)
    """how the suffix was computed, a Compute's fields"""
    features: dict[str, int] = field(default_factory=dict)
    """`hits` and `misses` in images, and `bytes` written, since the last report: how it came by what is frozen"""
    warning: str = ""
    """what people should know of how it goes, such as a full disk"""
