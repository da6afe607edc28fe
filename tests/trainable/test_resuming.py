"""A trial that is stopped at any report and resumed is the uninterrupted one."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, equal_states, job_of, model_of, numbers, reports_of, small_config

import trainable.learner
from trainable import train
from trainable.checkpoint import load_checkpoint
from trainable.classifier import Classifier, build_classifier
from trainable.config import TrialConfig
from trainable.errors import UserError
from trainable.evaluation import Evaluation
from trainable.freezing import blocks_to_freeze
from trainable.job import EpochReport
from trainable.learner import Learner
from trainable.stages import next_epoch, stage_of
from trainable.train import train_trial

SGD = {"kind": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-3, "head_lr_multiplier": 3.0}
STORIES: dict[str, dict[str, Any]] = {
    "one stage": {"epochs": 2},
    "plateau": {"epochs": 3, "schedule": {"kind": "plateau", "patience_epochs": 0, "factor": 0.5}},
    "cosine": {"epochs": 3, "schedule": {"kind": "cosine"}},
    "exponential": {"epochs": 3, "schedule": {"kind": "exponential", "gamma": 0.5}},
    "one cycle": {"epochs": 3, "schedule": {"kind": "one_cycle"}},
    "momentum and dropout": {"epochs": 3, "optimizer": SGD, "head": {"kind": "mlp", "dropout": 0.5, "width": 16}},
    "light views": {"epochs": 3, "augment": "light", "freeze": 0},
    "strong views, micro-batches": {"epochs": 2, "augment": "strong", "batch_size": 16, "micro_batch": 5},
    "warm-up": {"epochs": 4, "head_warmup_epochs": 2, "optimizer": SGD, "schedule": {"kind": "one_cycle"}},
    "thawing, freezing again": {
        "epochs": 5,
        "stages": [
            {"epochs": 1, "freeze": "all", "lr": 0.01},
            {"epochs": 2, "freeze": 1, "lr": 0.001},
            {"epochs": 2, "freeze": 3},
        ],
        "optimizer": SGD,
        "schedule": {"kind": "cosine"},
        "head": {"kind": "dropout_linear", "dropout": 0.3},
        "augment": "light",
    },
    "everything thawed, then frozen": {
        "epochs": 4,
        "stages": [{"epochs": 2, "freeze": 0}, {"epochs": 2, "freeze": "all"}],
        "schedule": {"kind": "plateau", "patience_epochs": 0},
    },
    "stochastic depth": {"epochs": 2, "backbone": "efficientnet_b0", "freeze": 7},
    "fitted thresholds": {"epochs": 3, "thresholds": "fitted", "loss": {"pos_weight": "balanced"}},
    "mean of the last epochs": {
        "epochs": 4,
        "averaging": {"kind": "swa", "start": 0.5},
        "head": {"kind": "dropout_linear", "dropout": 0.3},
        "augment": "light",
        "optimizer": SGD,
    },
    "moving average after a warm-up": {
        "epochs": 4,
        "averaging": {"kind": "ema", "decay": 0.7},
        "head_warmup_epochs": 2,
        "optimizer": SGD,
    },
    "mixed images": {"epochs": 3, "mix": {"kind": "mixup"}, "augment": "light", "batch_size": 7},
    "pasted images of classes": {
        "epochs": 2,
        "mix": {"kind": "cutmix"},
        "loss": {"pos_weight": "balanced", "label_smoothing": 0.1},
    },
    "four parts of the first epoch": {
        "epochs": 2,
        "first_epoch_evaluations": 4,
        "batch_size": 4,
        "head": {"kind": "dropout_linear", "dropout": 0.5},
        "schedule": {"kind": "one_cycle"},
        "optimizer": {"kind": "adamw", "clip_grad_norm": 0.5, "block_lr_decay": 0.7},
    },
    "everything at once": {
        "epochs": 4,
        "first_epoch_evaluations": 3,
        "batch_size": 8,
        "micro_batch": 3,
        "stages": [{"epochs": 2, "freeze": "all", "lr": 0.01}, {"epochs": 2, "freeze": 1}],
        "schedule": {"kind": "plateau", "patience_epochs": 0},
        "averaging": {"kind": "ema", "decay": 0.5},
        "mix": {"kind": "mixup"},
        "augment": "strong",
        "head": {"kind": "mlp", "dropout": 0.5, "width": 16},
        "optimizer": {"kind": "sgd", "lr": 0.02, "clip_grad_norm": 1.0, "block_lr_decay": 0.5},
    },
    "multi-class": {"epochs": 2, "loss": {"pos_weight": "balanced", "label_smoothing": 0.1}, "batch_norm": "frozen"},
}
QUICK = (
    "cosine",
    "momentum and dropout",
    "strong views, micro-batches",
    "thawing, freezing again",
    "mean of the last epochs",
    "mixed images",
    "multi-class",
)
"""one of each kind"""


@pytest.mark.parametrize(
    "story", [pytest.param(story, marks=[] if story in QUICK else [pytest.mark.real]) for story in STORIES]
)
def test_a_trial_resumed_after_any_report_is_the_uninterrupted_one(story: str, tmp_path: Path) -> None:
    """Every number but times and memory, and every trained weight, to the bit."""
    config = small_config(**STORIES[story])
    data = small_dataset("multiclass" if "class" in story else "multilabel", images=50)
    whole = job_of(config, tmp_path / "whole")
    reports: list[EpochReport] = []
    for report in train_trial(whole, data, CPU):
        reports.append(report)
        shutil.copytree(tmp_path / "whole", tmp_path / f"after {report.step}")
    assert [report.epoch for report in reports if report.epoch >= 1] == list(range(1, config.epochs + 1))
    assert [report.step for report in reports] == list(range(1, len(reports) + 1))
    for step in range(1, len(reports)):
        job = job_of(config, tmp_path / f"after {step}")
        torch.rand(step)  # whatever has been drawn before does not matter
        assert numbers(reports_of(job, data, resume=True)) == numbers(reports[step - 1 :])
        assert equal_states(model_of(job.files.last), model_of(whole.files.last))
        assert equal_states(model_of(job.files.best), model_of(whole.files.best))
        assert job.files.predictions.read_bytes() == whole.files.predictions.read_bytes()


def trained_names(classifier: Classifier) -> set[str]:
    return {name for name, parameter in classifier.named_parameters() if parameter.requires_grad}


def names_of_stage(config: TrialConfig, epoch: float) -> set[str]:
    """The parameters that an epoch's stage trains."""
    classifier = build_classifier(config, 3, None)
    freeze = stage_of(config, epoch)[1].freeze
    assert freeze is not None
    frozen = blocks_to_freeze(freeze, len(classifier.blocks), config.backbone)
    trained = [f"blocks.{block}." for block in range(frozen, len(classifier.blocks))]
    backbone = ("neck.", *trained) if trained else ()
    return {name for name, _ in classifier.named_parameters() if name.startswith(("head.", *backbone))}


@pytest.mark.parametrize(
    "story", ["warm-up", "thawing, freezing again", "everything thawed, then frozen", "everything at once"]
)
def test_a_trial_killed_within_or_between_stages_trains_the_right_layers(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each report: the next process trains what the stage of the next epoch says, and nothing else."""
    built: list[Classifier] = []

    def keep(*given: Any) -> Classifier:
        built.append(build_classifier(*given))
        return built[-1]

    monkeypatch.setattr(trainable.learner, "build_classifier", keep)
    config = small_config(**STORIES[story])
    job = job_of(config, tmp_path)
    data = small_dataset(images=50)
    reports = reports_of(job, data, stop_after=1)
    while reports[-1].status == "running":
        before = build_classifier(config, 3, None)
        before.load_state_dict(model_of(job.files.last), strict=False)
        going_on = next_epoch(reports[-1].epoch)
        resumed = train_trial(job, data, CPU, resume=True)
        reports = []
        for report in islice(resumed, 2):  # the last one again, then the next
            reports.append(report)
            assert trained_names(built[-1]) == names_of_stage(config, going_on)
        resumed.close()  # type: ignore[attr-defined]  # a generator
        moved = {
            name
            for (name, old), new in zip(before.named_parameters(), built[-1].parameters(), strict=True)
            if not torch.equal(old, new)
        }
        assert moved <= names_of_stage(config, going_on)
        assert {name.split(".")[0] for name in moved} == {name.split(".")[0] for name in trained_names(built[-1])}
    assert reports[-1].epoch == config.epochs


def test_a_trial_can_be_left_and_resumed_again_and_again(tmp_path: Path) -> None:
    config = small_config(epochs=4, augment="light")
    whole = reports_of(job_of(config, tmp_path / "whole"))
    job = job_of(config, tmp_path / "parts")
    assert numbers(reports_of(job, stop_after=1)) == numbers(whole[:1])
    for epoch in (1, 2, 3):  # the last report again, since its reader may not have got it, and the next one
        assert numbers(reports_of(job, resume=True, stop_after=2)) == numbers(whole[epoch - 1 : epoch + 1])
    assert numbers(reports_of(job, resume=True)) == numbers(whole[-1:])


def test_parts_of_the_first_epoch_can_be_left_and_resumed_again_and_again(tmp_path: Path) -> None:
    config = small_config(epochs=2, augment="light", first_epoch_evaluations=3, batch_size=6)
    whole = reports_of(job_of(config, tmp_path / "whole"))
    job = job_of(config, tmp_path / "parts")
    reports = reports_of(job, stop_after=1)
    while reports[-1].status == "running":
        reports += reports_of(job, resume=True, stop_after=2)[1:]
    assert numbers(reports) == numbers(whole)


def test_the_seconds_of_all_runs_add_up(tmp_path: Path) -> None:
    job = job_of(small_config(epochs=2), tmp_path)
    (first,) = reports_of(job, stop_after=1)
    again, second = reports_of(job, resume=True)
    assert 0 < first.seconds == again.seconds < second.seconds


def test_nothing_to_resume_is_the_user_s_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"last\.pt: there is no checkpoint"):
        reports_of(job_of(small_config(), tmp_path), resume=True)


@pytest.mark.parametrize("left_after", [1, 2, 3])
def test_a_trial_that_seldom_saves_is_whole_when_it_is_left(left_after: int, tmp_path: Path) -> None:
    """Nothing is written while it runs; where its reader stops, all that the last report told of."""
    config = small_config(epochs=4, augment="light", optimizer=SGD)
    whole = job_of(config, tmp_path / "whole")
    reports = numbers(reports_of(whole))
    job = job_of(config, tmp_path / "left", save_every_seconds=1e9)
    running = train_trial(job, small_dataset(), CPU)
    told = [next(running) for _ in range(left_after)]
    assert not job.files.checkpoints.exists()
    running.close()  # type: ignore[attr-defined]  # a generator
    assert load_checkpoint(job.files.best)["epoch"] == told[-1].best_epoch
    assert numbers(told) + numbers(reports_of(job, resume=True))[1:] == reports
    assert equal_states(model_of(job.files.best), model_of(whole.files.best))
    assert job.files.predictions.read_bytes() == whole.files.predictions.read_bytes()


def test_a_trial_saves_before_it_tells_of_a_rung_and_at_its_end(tmp_path: Path) -> None:
    config = small_config(epochs=5, first_epoch_evaluations=2, batch_size=6)
    job = job_of(config, tmp_path, save_every_seconds=1e9, rungs=(0.4, 3))
    saved = []
    for report in train_trial(job, small_dataset(), CPU):
        last = load_checkpoint(job.files.last)["epoch"] if job.files.last.exists() else 0
        saved.append((report.epoch, last))
    assert saved == [(0.5, 0.5), (1, 0.5), (2, 0.5), (3, 3), (4, 3), (5, 5)]


def test_a_trial_that_fails_leaves_its_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(small_config(epochs=3), tmp_path, save_every_seconds=1e9)
    running = train_trial(job, small_dataset(), CPU)
    best = [next(running), next(running)][-1].best_epoch
    monkeypatch.setattr(Learner, "learn", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(running)
    assert load_checkpoint(job.files.best)["epoch"] == best
    assert job.files.predictions.exists()
    assert not job.files.last.exists()  # the weights are those of no report


@pytest.mark.parametrize(("epoch_seconds", "saved_at"), [(5, [4, 6]), (9, [2, 4, 6]), (15, [1, 2, 3, 4, 5, 6])])
def test_a_kill_costs_no_more_than_twenty_seconds_or_an_epoch(
    epoch_seconds: float, saved_at: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def evaluate(run: train._Run) -> Evaluation:
        nonlocal now
        now += epoch_seconds
        return evaluated(run)

    evaluated = train._Run.evaluate
    monkeypatch.setattr(train._Run, "evaluate", evaluate)
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: now, perf_counter=lambda: now))
    job = job_of(small_config(epochs=6), tmp_path, save_every_seconds=20)
    saved = []
    for report in train_trial(job, small_dataset(), CPU):
        last = load_checkpoint(job.files.last)["epoch"] if job.files.last.exists() else 0
        saved += [report.epoch] if last == report.epoch else []
    assert saved == saved_at
