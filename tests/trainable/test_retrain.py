from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, TINY, equal_states, job_of, model_of, reports_of, small_config

import trainable.retrain
from trainable.checkpoint import load_checkpoint
from trainable.config import TrialConfig
from trainable.data.batches import Indices, endless_batches, steps_per_epoch
from trainable.data.dataset import ImageDataset
from trainable.errors import DivergedError
from trainable.evaluation import split_logits
from trainable.learner import Learner, Losses
from trainable.predict import load_model
from trainable.prefix.features import PrefixFeatures
from trainable.retrain import RetrainJob, RetrainReport, retrain
from trainable.weights import Weights

DATA = small_dataset()
STEPS = 3
"""of the trial: 36 training images by 12"""


def retrain_job(config: TrialConfig, folder: Path, epochs: float, **fields: Any) -> RetrainJob:
    given = {"splits": ("train", "val"), "weights": None, "learning_rates": None} | fields
    thresholds = (0.3, 0.5, 0.7)
    return RetrainJob(
        config, epochs=epochs, steps_per_epoch=STEPS, thresholds=thresholds, checkpoint=folder / "model.pt", **given
    )


def retrained(job: RetrainJob, data: ImageDataset = DATA) -> list[RetrainReport]:
    return list(retrain(job, data, CPU))


@dataclasses.dataclass
class Lesson:
    epoch: int
    batches: list[Indices]
    lr: float


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch) -> list[Lesson]:
    """What learners are taught while the test runs."""
    taught: list[Lesson] = []
    learn = Learner.learn

    def remember(self: Learner, batches: list[Indices], epoch: int, **keys: int) -> Losses:
        taught.append(Lesson(epoch, list(batches), self.lr))
        return learn(self, batches, epoch, **keys)

    monkeypatch.setattr(Learner, "learn", remember)
    return taught


def test_it_takes_the_trial_s_steps_on_all_images(lessons: list[Lesson], tmp_path: Path) -> None:
    config = small_config(epochs=6)
    reports = retrained(retrain_job(config, tmp_path, 4))
    assert [(report.epoch, report.steps) for report in reports] == [(1, 3), (2, 6), (3, 9), (4, 12)]
    assert [lesson.epoch for lesson in lessons] == [1, 2, 3, 4]
    images = np.sort(np.concatenate([DATA.split["train"], DATA.split["val"]]))
    expected = list(islice(endless_batches(images, 12, config.seed), 12))
    taught = [batch for lesson in lessons for batch in lesson.batches]
    assert all(np.array_equal(one, other) for one, other in zip(taught, expected, strict=True))
    assert set(np.concatenate(taught)) == set(images)
    assert reports[-1].seconds > reports[0].seconds > 0


@pytest.mark.parametrize(("epochs", "steps"), [(0.25, 1), (0.5, 2), (0.75, 3), (1, 3)])
def test_a_best_score_within_the_first_epoch_ends_it_there(epochs: float, steps: int, tmp_path: Path) -> None:
    config = small_config(first_epoch_evaluations=4)
    (report,) = retrained(retrain_job(config, tmp_path, epochs))
    assert (report.epoch, report.steps) == (epochs, steps)
    assert load_checkpoint(tmp_path / "model.pt")["epoch"] == epochs


SCHEDULES: list[dict[str, Any]] = [
    {"schedule": {"kind": "cosine"}},
    {"schedule": {"kind": "one_cycle"}},
    {"schedule": {"kind": "exponential"}, "head_warmup_epochs": 2},
    {"stages": [{"epochs": 2, "freeze": "all", "lr": 0.01}, {"epochs": 3, "freeze": 1, "lr": 1e-4}]},
]


@pytest.mark.parametrize("fields", SCHEDULES)
def test_the_schedule_is_the_trial_s(fields: dict[str, Any], lessons: list[Lesson], tmp_path: Path) -> None:
    config = small_config(epochs=5, **fields)
    reports_of(job_of(config, tmp_path, last_epoch=4), DATA)
    of_trial = [lesson.lr for lesson in lessons]
    lessons.clear()
    assert [report.lr for report in retrained(retrain_job(config, tmp_path, 4))] == of_trial


def test_plateau_repeats_the_rates_of_the_trial(tmp_path: Path) -> None:
    optimizer = {"kind": "sgd", "lr": 0.1, "head_lr_multiplier": 3.0, "block_lr_decay": 0.5}
    config = small_config(epochs=4, schedule={"kind": "plateau"}, optimizer=optimizer)
    rates = (0.1, 0.1, 0.01, 0.001)
    reports = retrained(retrain_job(config, tmp_path, 4, learning_rates=rates))
    assert [report.lr for report in reports] == list(rates)
    for missing in (None, rates[:3]):
        with pytest.raises(ValueError, match="plateau schedule is retrained by the learning rates"):
            retrained(retrain_job(config, tmp_path, 4, learning_rates=missing))


def test_on_the_training_split_alone_it_is_the_trial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights_of: Callable[[str], Weights]
) -> None:
    """Given the trial's batches, the same weights to the bit: averaged, mixed, clipped, staged and dropped out."""
    config = small_config(
        pretrained=True,
        epochs=4,
        stages=[{"epochs": 1, "freeze": "all"}, {"epochs": 3, "freeze": 2}],
        averaging={"kind": "swa", "start": 0.3},
        mix={"kind": "mixup"},
        augment="light",
        head={"kind": "mlp", "dropout": 0.3, "width": 8},
        schedule={"kind": "one_cycle"},
        optimizer={"kind": "adamw", "clip_grad_norm": 1.0, "block_lr_decay": 0.7},
        loss={"pos_weight": "balanced"},
    )
    trial = job_of(config, tmp_path, weights=weights_of(TINY))
    taught: list[Indices] = []
    learn = Learner.learn

    def remember(self: Learner, batches: list[Indices], epoch: int, **keys: int) -> Losses:
        taught.extend(batches)
        return learn(self, batches, epoch, **keys)

    scored: list[dict[str, torch.Tensor]] = []
    with monkeypatch.context() as patched:
        patched.setattr(Learner, "learn", remember)
        end_epoch = Learner.end_epoch

        def keep(self: Learner, *given: Any) -> None:
            end_epoch(self, *given)
            scored.append(self.model_state(self.scored)["model"])

        patched.setattr(Learner, "end_epoch", keep)
        reports_of(trial, DATA)
    monkeypatch.setattr(trainable.retrain, "endless_batches", lambda *_: iter(taught))
    job = retrain_job(config, tmp_path, 4, splits=("train",), weights=weights_of(TINY))
    retrained(job)
    assert equal_states(model_of(job.checkpoint), scored[-1])


@pytest.mark.parametrize("splits", [("train", "val"), ("train", "val", "test")])
def test_its_checkpoint_is_a_model(
    splits: tuple[str, ...], tmp_path: Path, weights_of: Callable[[str], Weights]
) -> None:
    config = small_config(pretrained=True, epochs=2, thresholds="fitted")
    job = retrain_job(config, tmp_path, 2, splits=splits, weights=weights_of(TINY))
    retrained(job)
    model = load_model(job.checkpoint, CPU, job.weights)
    assert (model.thresholds, model.labels, model.config) == ((0.3, 0.5, 0.7), DATA.labels, config)
    logits = split_logits(model.classifier, PrefixFeatures(model.classifier, DATA, CPU), DATA.split["test"])
    assert torch.isfinite(logits).all()


def test_an_image_that_is_not_trained_on_does_not_matter(tmp_path: Path) -> None:
    config = small_config(augment="light", loss={"pos_weight": "balanced"})
    images, targets = DATA.images.copy(), DATA.targets.copy()
    images[DATA.split["test"]], targets[DATA.split["test"]] = 0, 1
    other = dataclasses.replace(DATA, images=images, targets=targets)
    one, two = retrain_job(config, tmp_path / "one", 2), retrain_job(config, tmp_path / "two", 2)
    retrained(one)
    retrained(two, other)
    assert equal_states(model_of(one.checkpoint), model_of(two.checkpoint))
    everything = retrain_job(config, tmp_path / "all", 2, splits=("train", "val", "test"))
    retrained(everything)
    assert not equal_states(model_of(one.checkpoint), model_of(everything.checkpoint))


def test_the_steps_of_a_trial_s_epoch_are_those_it_took(tmp_path: Path) -> None:
    config = small_config(batch_size=16)
    trial = job_of(config, tmp_path)
    reports_of(trial, small_dataset(images=55))
    steps = torch.load(trial.files.last, weights_only=True)["optimizer"]["state"][0]["step"]
    assert steps == 2 * steps_per_epoch(33, 16) == 4


def test_a_retraining_that_diverges_says_so_and_leaves_no_model(tmp_path: Path) -> None:
    optimizer = {"kind": "sgd", "lr": 10.0, "head_lr_multiplier": 1000.0}
    config = small_config(freeze=0, epochs=20, optimizer=optimizer, head={"kind": "two_linear", "width": 8})
    job = retrain_job(config, tmp_path, 20)
    with pytest.raises(DivergedError, match="diverged"):
        retrained(job)
    assert not job.checkpoint.exists()
