from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_data import small_dataset
from small_trials import CPU, TINY, job_of, reports_of, small_config

from trainable.checkpoint import load_checkpoint, save_checkpoint
from trainable.errors import UserError
from trainable.evaluation import split_logits
from trainable.job import TrialJob
from trainable.predict import TrainedModel, load_model, score_test
from trainable.prefix.features import PrefixFeatures
from trainable.weights import Weights


@pytest.fixture
def trained(tmp_path: Path, weights_of: Callable[[str], Weights]) -> Callable[..., TrialJob]:
    """trained(task, **fields): the job of a trial that has run."""

    def train(task: Any = "multilabel", **fields: Any) -> TrialJob:
        config = small_config(pretrained=True, **fields)
        job = job_of(config, tmp_path / "trial", "f1_macro", weights_of(config.backbone))
        reports_of(job, small_dataset(task))
        return job

    return train


def loaded(job: TrialJob) -> TrainedModel:
    return load_model(job.files.best, CPU, job.weights)


def pictures(folder: Path, images: np.ndarray) -> list[Path]:
    paths = []
    for number, image in enumerate(images):
        paths.append(folder / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


@pytest.mark.parametrize(
    "fields",
    [
        {"freeze": 2},
        {"freeze": 0},
        {"freeze": "all", "head": {"kind": "mlp", "width": 8, "dropout": 0.3}},
        {"freeze": 1, "backbone": "timm:test_convnext"},
        {"freeze": 3, "backbone": "resnet18", "epochs": 1, "batch_norm": "frozen"},
        # the best epoch may be one of an earlier stage, with another boundary
        {"epochs": 2, "stages": [{"epochs": 1, "freeze": 1}, {"epochs": 1, "freeze": "all", "lr": 1e-9}]},
        {"epochs": 2, "stages": [{"epochs": 1, "freeze": "all"}, {"epochs": 1, "freeze": 0, "lr": 1e-9}]},
    ],
)
def test_a_loaded_model_says_what_was_saved(fields: dict[str, Any], trained: Callable[..., TrialJob]) -> None:
    job, data = trained(**fields), small_dataset()
    model = loaded(job)
    logits = split_logits(model.classifier, PrefixFeatures(model.classifier, data, CPU), data.split["val"])
    saved = np.load(job.files.predictions)
    assert np.array_equal(logits.numpy(), saved["logits"])
    assert model.labels == tuple(saved["labels"])
    images = torch.from_numpy(data.images[data.split["val"]]).permute(0, 3, 1, 2).float() / 255
    expected = torch.from_numpy(saved["logits"]).sigmoid()
    assert torch.allclose(model.probabilities(images), expected, rtol=0, atol=1e-6)


def test_weights_are_found_where_none_are_given(trained: Callable[..., TrialJob], weights_folder: Path) -> None:
    job = trained()
    with pytest.raises(UserError, match="timm:test_resnet: pretrained weights are not on this machine"):
        load_model(job.files.best, CPU)
    assert job.weights
    (weights_folder / "timm_test_resnet.pth").write_bytes(job.weights.path.read_bytes())
    assert load_model(job.files.best, CPU).labels == ("red", "green", "blue")


def test_other_weights_than_it_was_trained_on_are_refused(trained: Callable[..., TrialJob], tmp_path: Path) -> None:
    job = trained()
    assert job.weights
    state = torch.load(job.weights.path, weights_only=True)
    state["conv1.0.weight"].view(-1)[0] += 1e-3
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth holds other weights than .*best\.pt was trained on \(sha256 "):
        load_model(job.files.best, CPU, Weights(TINY, tmp_path / "other.pth"))


def test_a_trial_without_pretrained_weights_needs_none(tmp_path: Path, weights_of: Callable[[str], Weights]) -> None:
    job = job_of(small_config(), tmp_path)
    reports_of(job)
    data = small_dataset()
    for weights in (None, weights_of(TINY)):
        model = load_model(job.files.best, CPU, weights)
        logits = split_logits(model.classifier, PrefixFeatures(model.classifier, data, CPU), data.split["val"])
        assert np.array_equal(logits.numpy(), np.load(job.files.predictions)["logits"])


def test_a_missing_checkpoint_is_the_user_s_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no checkpoint"):
        load_model(tmp_path / "best.pt", CPU)


def test_predictions_apply_the_thresholds(trained: Callable[..., TrialJob], tmp_path: Path) -> None:
    job = trained()
    saved = load_checkpoint(job.files.best)
    paths = pictures(tmp_path, small_dataset().images[:40])
    rows = torch.tensor([list(said.probabilities.values()) for said in loaded(job).predict(paths)]).double()
    thresholds = [rows[:, 0].median().item(), 0.0, 1.0]
    saved["best"]["thresholds"] = thresholds
    save_checkpoint(job.files.best, saved)
    for path, row, said in zip(paths, rows.tolist(), loaded(job).predict(paths), strict=True):
        assert said.path == path
        assert list(said.probabilities) == ["red", "green", "blue"]
        expected = [label for label, p, t in zip(("red", "green", "blue"), row, thresholds, strict=True) if p >= t]
        assert list(said.labels) == expected
        assert "green" in said.labels
        assert "blue" not in said.labels


def test_multi_class_predictions_are_the_likeliest_class(trained: Callable[..., TrialJob], tmp_path: Path) -> None:
    model = loaded(trained("multiclass"))
    for said in model.predict(pictures(tmp_path, small_dataset().images[:10])):
        assert said.labels == (max(said.probabilities, key=lambda label: said.probabilities[label]),)
        assert sum(said.probabilities.values()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("batch_images", [1, 3, 100])
def test_predictions_come_in_order_whatever_the_batch(
    batch_images: int, trained: Callable[..., TrialJob], tmp_path: Path
) -> None:
    model = loaded(trained())
    paths = pictures(tmp_path, small_dataset().images[:10])
    whole = list(model.predict(paths))
    for one, other in zip(model.predict(paths, batch_images), whole, strict=True):
        assert one.path == other.path
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_pictures_of_any_size_are_taken(trained: Callable[..., TrialJob], tmp_path: Path) -> None:
    Image.new("RGB", (50, 20)).save(tmp_path / "wide.jpg")
    (said,) = loaded(trained()).predict([tmp_path / "wide.jpg"])
    assert len(said.probabilities) == 3


def test_a_missing_or_broken_picture_is_told_by_name(trained: Callable[..., TrialJob], tmp_path: Path) -> None:
    model = loaded(trained())
    with pytest.raises(UserError, match=r"absent\.png: cannot be read"):
        list(model.predict([tmp_path / "absent.png"]))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken\.png: "):
        list(model.predict([tmp_path / "broken.png"]))


def test_the_test_score_is_decided_by_the_saved_thresholds(trained: Callable[..., TrialJob]) -> None:
    job, data = trained(thresholds="fitted", epochs=1), small_dataset()
    model = loaded(job)
    evaluation = score_test(model, data, job.objective, job.files.test_predictions)
    assert evaluation.thresholds == list(model.thresholds) == load_checkpoint(job.files.best)["best"]["thresholds"]
    test = data.split["test"]
    images = torch.from_numpy(data.images[test]).permute(0, 3, 1, 2).float() / 255
    decisions = model.probabilities(images).double() >= torch.tensor(model.thresholds, dtype=torch.float64)
    right = decisions == torch.from_numpy(data.targets[test]).bool()
    assert evaluation.metrics["accuracy"] == pytest.approx(right.all(1).float().mean().item())
    assert job.files.test_predictions.name == "predictions.test.npz"
    saved = np.load(job.files.test_predictions)
    assert np.array_equal(saved["decisions"], decisions.numpy())
    assert saved["ids"].tolist() == [data.ids[image] for image in test]


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("split", ["val", "test"])
def test_saved_decisions_are_those_that_the_metrics_were_computed_on(
    split: str, task: Any, trained: Callable[..., TrialJob]
) -> None:
    """Cross-fitted on validation, by the shipped thresholds on test, and one class an image in multi-class."""
    thresholds = "fitted" if task == "multilabel" else "half"
    job, data = trained(task, thresholds=thresholds, epochs=1), small_dataset(task)
    tested = score_test(loaded(job), data, job.objective, job.files.test_predictions)
    (report,) = reports_of(job, data, resume=True)
    metrics = report.val if split == "val" else tested.metrics
    saved = np.load(job.files.predictions if split == "val" else job.files.test_predictions)
    decisions, targets = saved["decisions"], saved["targets"]
    truth = targets.astype(bool) if task == "multilabel" else targets[:, None] == np.arange(len(data.labels))
    assert decisions.dtype == np.uint8
    assert decisions.shape == saved["logits"].shape == truth.shape
    assert metrics["accuracy"] == pytest.approx((decisions == truth).all(axis=1).mean())
    found = truth.any(axis=0)
    recall = (decisions & truth).sum(axis=0)[found] / truth.sum(axis=0)[found]
    assert metrics["recall_macro"] == pytest.approx(recall.mean())
    if task == "multiclass":
        assert np.array_equal(decisions.argmax(axis=1), saved["logits"].argmax(axis=1))
        assert (decisions.sum(axis=1) == 1).all()
