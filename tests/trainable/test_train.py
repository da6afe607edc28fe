from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_data import small_dataset
from small_trials import TINY, equal_states, job_of, model_of, numbers, reports_of, small_config

import trainable.train
from trainable.checkpoint import load_checkpoint
from trainable.classifier import build_classifier
from trainable.config import parse_config
from trainable.errors import DivergedError, UserError
from trainable.evaluation import Evaluation, Evaluator
from trainable.losses import unweighted_loss
from trainable.metrics import REPORTED
from trainable.weights import Weights


def test_the_same_seeds_give_the_same_result_and_others_do_not(tmp_path: Path) -> None:
    def trained(folder: str, data_seed: int = 7, **fields: Any) -> list[dict[str, Any]]:
        data = dataclasses.replace(small_dataset(), data_seed=data_seed)
        config = small_config(augment="light", head={"kind": "dropout_linear"}, **fields)
        return numbers(reports_of(job_of(config, tmp_path / folder), data))

    first = trained("first")
    assert trained("again") == first
    assert trained("other seed", seed=1) != first
    assert trained("other views", data_seed=8) != first


def test_the_order_of_the_split_and_other_splits_do_not_matter(tmp_path: Path) -> None:
    """The test split is never read: shuffled, or gone, it changes no number and no threshold."""
    data = small_dataset(images=80)
    config = small_config(thresholds="fitted")
    reports = numbers(reports_of(job_of(config, tmp_path / "as it is"), data))
    rng = np.random.default_rng(0)
    images, targets = data.images.copy(), data.targets.copy()
    test = data.split["test"]
    images[test], targets[test] = images[rng.permutation(test)], 1 - targets[rng.permutation(test)]
    shuffled = dataclasses.replace(data, images=images, targets=targets)
    assert numbers(reports_of(job_of(config, tmp_path / "shuffled"), shuffled)) == reports
    none = dataclasses.replace(data, split={name: data.split[name] for name in ("train", "val")})
    assert numbers(reports_of(job_of(config, tmp_path / "none"), none)) == reports


def test_reports_say_what_a_reader_can_check(tmp_path: Path) -> None:
    config = small_config(epochs=3)
    reports = reports_of(job_of(config, tmp_path))
    classifier = build_classifier(config, 3, None)
    classifier.freeze(2)
    values = [report.value for report in reports]
    for number, report in enumerate(reports):
        best = max(values[: number + 1])
        assert (report.best_value, report.best_epoch) == (best, values.index(best) + 1)
        assert report.value == report.val["f2_macro"] == report.val["f2_macro@0.5"]
        assert set(report.val) == {*REPORTED, "f2_macro@0.5", "f2_macro@fitted"}
        assert report.status == ("complete" if number == 2 else "running")
        assert report.total_parameters == sum(p.numel() for p in classifier.parameters())
        assert report.trained_parameters == sum(p.numel() for p in classifier.parameters() if p.requires_grad)
        assert report.train_loss == pytest.approx(report.train_loss_weighted)  # nothing is weighed here
        assert (report.lr, report.device) == (1e-3, "cpu")
        assert report.images_per_second > 0
        assert report.peak_memory_gib > 0
        new_best = report.best_epoch == report.epoch
        assert bool(report.per_label) == bool(report.thresholds) == new_best
    assert reports[-1].train_loss < reports[0].train_loss


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_the_reported_losses_are_unweighted_and_unsmoothed(task: Any, tmp_path: Path) -> None:
    """One batch, wholly frozen: the loss of an epoch is that of the untrained head on all training images."""
    loss = {"pos_weight": "balanced", "label_smoothing": 0.2}
    config = small_config(freeze="all", epochs=1, batch_size=99, loss=loss)
    data = small_dataset(task)
    (report,) = reports_of(job_of(config, tmp_path, "f1_macro"), data)
    classifier = build_classifier(config, len(data.labels), None).eval()
    train = data.split["train"]
    targets = torch.from_numpy(data.targets[train])
    with torch.no_grad():
        logits = classifier(torch.from_numpy(data.images[train]).permute(0, 3, 1, 2).float() / 255)
        weighted = config.loss.build(task, data.positives("train"), len(train), torch.device("cpu"))(logits, targets)
        plain = unweighted_loss(logits, targets, task)
    assert report.train_loss == pytest.approx(plain.item(), rel=1e-4)
    assert report.train_loss_weighted == pytest.approx(weighted.item(), rel=1e-4)
    assert abs(plain - weighted) > 1e-4
    saved = np.load(job_of(config, tmp_path).files.predictions)
    of_val = unweighted_loss(torch.from_numpy(saved["logits"]), torch.from_numpy(saved["targets"]), task)
    assert report.val["loss"] == pytest.approx(of_val.item(), rel=1e-6)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("micro_batch", [1, 5, 20, 35])
def test_micro_batches_give_the_gradient_of_the_batch(
    task: Any, micro_batch: int, tmp_path: Path, weights_of: Callable[[str], Weights]
) -> None:
    """One step of plain descent at a rate of 1 moves the head by its gradient."""

    def stepped(folder: str, **fields: Any) -> torch.Tensor:
        loss = {"pos_weight": "balanced", "label_smoothing": 0.1}
        optimizer = {"kind": "sgd", "lr": 1.0, "momentum": 0}
        config = small_config(
            pretrained=True, freeze="all", epochs=1, batch_size=36, loss=loss, optimizer=optimizer, **fields
        )
        job = job_of(config, tmp_path / folder, "f1_macro", weights_of(TINY))
        reports_of(job, small_dataset(task))
        return model_of(job.files.last)["head.weight"]

    whole, parts = stepped("whole"), stepped("parts", micro_batch=micro_batch)
    untrained = build_classifier(small_config(pretrained=True), whole.shape[0], weights_of(TINY)).head.weight
    gradient = untrained - whole
    assert gradient.abs().max() > 1e-2
    assert torch.allclose(untrained - parts, gradient, rtol=0, atol=1e-6)


def test_no_micro_batch_is_a_single_left_over_image(tmp_path: Path) -> None:
    """33 images by 32: BatchNorm cannot train on one image of one pixel."""
    data = small_dataset(images=55)
    assert len(data.split["train"]) == 33
    config = small_config(backbone="resnet18", freeze=4, epochs=1, batch_size=33, micro_batch=32)
    assert len(reports_of(job_of(config, tmp_path), data)) == 1


def test_no_batch_is_a_single_left_over_image(tmp_path: Path) -> None:
    data = small_dataset(images=55)
    config = small_config(backbone="resnet18", freeze=4, epochs=1, batch_size=16)
    assert len(reports_of(job_of(config, tmp_path), data)) == 1


def scripted(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let the objective take these values, epoch by epoch, whatever is learnt."""
    remaining = iter(values)
    validation = Evaluator.validation

    def said(self: Evaluator, logits: torch.Tensor, *, with_fitted: bool) -> Evaluation:
        return dataclasses.replace(validation(self, logits, with_fitted=with_fitted), value=next(remaining))

    monkeypatch.setattr(Evaluator, "validation", said)


WORSE = [0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]


@pytest.mark.parametrize(
    ("options", "fields", "ends"),
    [
        ({}, {"patience_epochs": 2}, 4),
        ({}, {"patience_epochs": 3}, 5),
        ({}, {}, 8),
        ({}, {"patience_epochs": 6}, 8),
        ({"patience_from_epoch": 3}, {"patience_epochs": 2}, 4),
        ({"patience_from_epoch": 7}, {"patience_epochs": 2}, 7),
        ({"last_epoch": 6}, {"patience_epochs": 2}, 6),
        ({"last_epoch": 3}, {"patience_epochs": 2}, 3),
        # a stage that has settled is what the next waits for: patience begins with the last one
        ({}, {"patience_epochs": 2, "head_warmup_epochs": 4}, 6),
        ({}, {"patience_epochs": 1, "stages": [{"epochs": 5}, {"epochs": 3}]}, 6),
    ],
)
def test_patience(
    options: dict[str, Any], fields: dict[str, Any], ends: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, WORSE)
    config = small_config(freeze="all", epochs=8, **fields)
    reports = reports_of(job_of(config, tmp_path, **options))
    assert len(reports) == ends
    complete = ends == options.get("last_epoch", 8)
    assert [report.status for report in reports] == ["running"] * (ends - 1) + [
        "complete" if complete else "early_stopped"
    ]
    assert reports[-1].best_epoch == 2


def test_an_objective_may_be_one_to_minimise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.5, 0.6, 0.4, 0.4])
    reports = reports_of(job_of(small_config(freeze="all", epochs=4), tmp_path, "loss"))
    assert [report.best_epoch for report in reports] == [1, 1, 3, 3]


def test_a_trial_that_has_ended_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, WORSE)
    job = job_of(small_config(freeze="all", epochs=8, patience_epochs=2), tmp_path)
    reports = reports_of(job)
    assert reports[-1].status == "early_stopped"
    assert reports_of(job, resume=True) == reports[-1:]


def test_last_epoch_shortens_the_trial_and_not_the_schedule(tmp_path: Path) -> None:
    config = small_config(epochs=4, schedule={"kind": "cosine"})
    whole = reports_of(job_of(config, tmp_path / "whole"))
    part = job_of(config, tmp_path / "part", last_epoch=2)
    reports = reports_of(part)
    assert [report.status for report in reports] == ["running", "complete"]
    reports[-1] = dataclasses.replace(reports[-1], status="running")
    assert numbers(reports) == numbers(whole[:2])
    assert [report.status for report in reports_of(part, resume=True)] == ["complete"]
    extended = reports_of(dataclasses.replace(part, last_epoch=None), resume=True)
    assert numbers(extended) == numbers(whole[1:])


PARTS = {"batch_size": 4, "augment": "light", "optimizer": {"kind": "sgd", "lr": 0.02}}


@pytest.mark.parametrize("schedule", ["constant", "plateau", "cosine", "one_cycle"])
def test_scoring_parts_of_the_first_epoch_trains_the_same(schedule: str, tmp_path: Path) -> None:
    """Without dropout, which is keyed by evaluation, every whole epoch is the same to the bit."""
    fields = PARTS | {"epochs": 3, "schedule": {"kind": schedule}}
    once = job_of(small_config(**fields), tmp_path / "once")
    often = job_of(small_config(**fields, first_epoch_evaluations=4), tmp_path / "often")
    whole, parts = reports_of(once), reports_of(often)
    assert [report.epoch for report in parts] == [0.25, 0.5, 0.75, 1, 2, 3]
    assert [json.dumps(report.epoch) for report in parts[3:]] == ["1", "2", "3"]
    assert [report.step for report in parts] == [1, 2, 3, 4, 5, 6]
    assert [report.val for report in parts[3:]] == [report.val for report in whole]
    assert [report.lr for report in parts[4:]] == [report.lr for report in whole[1:]]
    assert equal_states(model_of(once.files.last), model_of(often.files.last))
    assert parts[-1].best_value == max(report.value for report in parts)
    losses = [report.train_loss for report in parts[:4]]
    assert np.average(losses, weights=[3, 2, 2, 2]) == pytest.approx(whole[0].train_loss, rel=1e-5)


def test_a_trial_may_end_within_its_first_epoch(tmp_path: Path) -> None:
    """As the rerun of one that halving stopped there: the same numbers, the same best model."""
    config = small_config(**PARTS, first_epoch_evaluations=4, epochs=3)
    whole = reports_of(job_of(config, tmp_path / "whole"))
    job = job_of(config, tmp_path / "part", last_epoch=0.5)
    reports = reports_of(job)
    assert [report.status for report in reports] == ["running", "complete"]
    assert [report.val for report in reports] == [report.val for report in whole[:2]]
    assert load_checkpoint(job.files.best)["epoch"] == reports[-1].best_epoch
    assert [report.epoch for report in reports_of(job, resume=True)] == [0.5]


def test_patience_counts_epochs_and_not_their_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4])
    config = small_config(freeze="all", epochs=8, batch_size=4, first_epoch_evaluations=4, patience_epochs=2)
    reports = reports_of(job_of(config, tmp_path))
    assert [(report.epoch, report.best_epoch) for report in reports[-2:]] == [(2, 0.5), (3, 0.5)]
    assert reports[-1].status == "early_stopped"


@pytest.mark.parametrize("optimizer", [{"kind": "sgd", "lr": 10.0, "head_lr_multiplier": 1000.0}])
def test_a_loss_that_is_no_number_diverges(optimizer: dict[str, Any], tmp_path: Path) -> None:
    config = small_config(freeze=0, epochs=20, optimizer=optimizer, head={"kind": "two_linear", "width": 8})
    with pytest.raises(DivergedError, match=r"diverged: .* in epoch \d+"):
        reports_of(job_of(config, tmp_path))


@pytest.mark.parametrize("place", ["train", "val"])
def test_a_diverged_epoch_leaves_the_files_of_those_before(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(epochs=4)
    job = job_of(config, tmp_path)
    reports_of(job, stop_after=2)
    before = {path: path.read_bytes() for path in (job.files.last, job.files.best, job.files.predictions)}
    if place == "train":
        nan = torch.tensor(math.nan, requires_grad=True)
        monkeypatch.setattr(type(config.loss), "build", lambda *_: lambda logits, _: logits.sum() * nan)
        reason = "diverged: the training loss is nan in epoch 3"
    else:
        monkeypatch.setattr(
            trainable.train, "split_logits", lambda _, __, images, ___: torch.full((len(images), 3), math.nan)
        )
        reason = "diverged: a validation output is not a number in epoch 3"
    with pytest.raises(DivergedError) as caught:
        reports_of(job, resume=True)
    assert str(caught.value) == reason
    assert {path: path.read_bytes() for path in before} == before
    monkeypatch.undo()
    assert load_checkpoint(job.files.last)["epoch"] == 2
    assert [report.epoch for report in reports_of(job, resume=True)] == [2, 3, 4]


def test_an_objective_that_cannot_be_computed_ends_the_trial(tmp_path: Path) -> None:
    data = small_dataset()
    data.targets[data.split["val"]] = 0
    with pytest.raises(UserError, match="f2_macro is undefined on the validation images"):
        reports_of(job_of(small_config(), tmp_path), data)


def test_frozen_blocks_are_not_saved(tmp_path: Path) -> None:
    """They are their pretrained selves; those that any stage has trained are saved."""
    stages = [{"epochs": 1, "freeze": 3}, {"epochs": 1, "freeze": "all"}]
    job = job_of(small_config(stages=stages), tmp_path)
    reports_of(job)
    for path in (job.files.last, job.files.best):
        blocks = {name.split(".")[1] for name in model_of(path) if name.startswith("blocks.")}
        assert blocks == {"3", "4"}
        assert "head.weight" in model_of(path)


def test_what_best_pt_tells(tmp_path: Path) -> None:
    config = small_config(epochs=3, thresholds="fitted")
    job = job_of(config, tmp_path)
    reports = reports_of(job)
    saved = load_checkpoint(job.files.best)
    assert parse_config(saved["config"]) == config
    assert (saved["labels"], saved["task"]) == (["red", "green", "blue"], "multilabel")
    best = reports[reports[-1].best_epoch - 1]
    assert saved["epoch"] == saved["best"]["epoch"] == best.epoch
    assert saved["best"]["value"] == best.value
    assert saved["best"]["thresholds"] == best.thresholds
    assert saved["weights_sha256"] is None


def test_more_blocks_than_a_timm_model_has_are_the_user_s_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="freeze: 6 is more than the 5 blocks of timm:test_resnet"):
        reports_of(job_of(small_config(freeze=6), tmp_path))
