from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, small_config

from trainable.classifier import Suffix, build_classifier
from trainable.evaluation import Evaluator, predict_all, save_predictions, split_logits
from trainable.metrics import parse_objective
from trainable.prefix.features import PrefixFeatures
from trainable.thresholds import cross_fitted_decisions, fit_thresholds, validation_folds

DATA = small_dataset(images=150)


def evaluator(objective: str = "f2_macro", data: Any = DATA, **fields: Any) -> Evaluator:
    return Evaluator(small_config(**fields), data, parse_objective(objective))


def noisy_logits(split: str = "val", seed: int = 0) -> torch.Tensor:
    """Logits that know something of the targets, and lie off 0.5."""
    targets = torch.from_numpy(DATA.targets[DATA.split[split]])
    generator = torch.Generator().manual_seed(seed)
    return 1.5 * targets - 2 + torch.randn(targets.shape, generator=generator)


def test_multi_label_decisions_are_at_one_half_and_above() -> None:
    logits = torch.tensor([[0.0, -1e-3, 1e-3]])
    found = predict_all(logits, torch.tensor([[1.0, 1.0, 0.0]]), "multilabel")
    assert found.decisions.tolist() == [[1, 0, 1]]
    assert found.targets.tolist() == [[1, 1, 0]]
    assert torch.allclose(found.probabilities, logits.sigmoid())


def test_multi_class_decisions_are_the_likeliest() -> None:
    found = predict_all(torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]]), torch.tensor([1, 2]), "multiclass")
    assert found.decisions.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert found.targets.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert torch.allclose(found.probabilities.sum(1), torch.ones(2))


def test_half_and_fitted_are_both_shown() -> None:
    half = evaluator(thresholds="half").validation(noisy_logits(), with_fitted=True)
    fitted = evaluator(thresholds="fitted").validation(noisy_logits(), with_fitted=True)
    assert half.value == half.metrics["f2_macro"] == half.metrics["f2_macro@0.5"]
    assert fitted.value == fitted.metrics["f2_macro"] == fitted.metrics["f2_macro@fitted"]
    for name in ("f2_macro@0.5", "f2_macro@fitted", "loss", "roc_auc_macro"):
        assert half.metrics[name] == fitted.metrics[name]
    assert half.value != fitted.value
    assert half.thresholds == [0.5, 0.5, 0.5]
    assert half.metrics["f1_macro"] != fitted.metrics["f1_macro"]


def test_fitted_scores_are_cross_fitted_and_the_thresholds_are_of_all_images() -> None:
    evaluation = evaluator(thresholds="fitted").validation(noisy_logits(), with_fitted=False)
    val = DATA.split["val"]
    probabilities = noisy_logits().sigmoid().double().numpy()
    targets = DATA.targets[val].astype(np.int64)
    assert evaluation.thresholds == fit_thresholds(probabilities, targets, 2.0).tolist()
    folds = validation_folds(targets, DATA.groups[val], DATA.data_seed)
    decisions = cross_fitted_decisions(probabilities, targets, folds, 2.0)
    expected = (decisions == targets).all(axis=1).mean()
    assert evaluation.metrics["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize(("objective", "shown"), [("f2_macro", True), ("accuracy", True), ("roc_auc_macro", False)])
def test_at_fitted_is_shown_where_thresholds_change_the_objective(objective: str, shown: bool) -> None:
    metrics = evaluator(objective).validation(noisy_logits(), with_fitted=True).metrics
    assert (f"{objective}@fitted" in metrics) == (f"{objective}@0.5" in metrics) == shown
    without = evaluator(objective).validation(noisy_logits(), with_fitted=False).metrics
    assert not any("@" in name for name in without)


def test_the_objective_is_reported_though_it_is_not_among_the_usual() -> None:
    evaluation = evaluator("f0.5_samples").validation(noisy_logits(), with_fitted=False)
    assert evaluation.value == evaluation.metrics["f0.5_samples"]


def test_multi_class_has_no_thresholds() -> None:
    data = small_dataset("multiclass")
    logits = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
    evaluation = evaluator("f1_macro", data).validation(logits, with_fitted=True)
    assert not any("@" in name for name in evaluation.metrics)
    expected = (logits.argmax(1).numpy() == data.targets[data.split["val"]]).mean()
    assert evaluation.metrics["accuracy"] == pytest.approx(expected)


def test_labels_without_a_positive_are_named_and_left_out() -> None:
    targets = DATA.targets.copy()
    targets[DATA.split["val"], 1] = 0
    data = dataclasses.replace(DATA, targets=targets)
    evaluation = evaluator(data=data).validation(noisy_logits(), with_fitted=False)
    assert evaluation.labels_left_out == ["green"]
    assert list(evaluation.per_label) == ["red", "blue"]
    assert not math.isnan(evaluation.value)
    kept = predict_all(noisy_logits()[:, [0, 2]], torch.from_numpy(targets[DATA.split["val"]][:, [0, 2]]), "multilabel")
    hits = (kept.decisions * kept.targets).sum(0)
    expected = (hits / kept.targets.sum(0)).mean()
    assert evaluation.metrics["recall_macro"] == pytest.approx(expected.item())


@pytest.mark.parametrize("groups", ["one", "two"])
@pytest.mark.parametrize("thresholds", ["half", "fitted"])
def test_few_groups_in_validation_are_scored_still(groups: str, thresholds: str) -> None:
    """With one group nothing is left to fit on: its images are decided at 0.5."""
    data = dataclasses.replace(DATA, groups=np.zeros(150, dtype=np.int64) if groups == "one" else np.arange(150) % 2)
    metrics = evaluator(data=data, thresholds=thresholds).validation(noisy_logits(), with_fitted=True).metrics
    assert not math.isnan(metrics["f2_macro@fitted"])
    assert (metrics["f2_macro@fitted"] == metrics["f2_macro@0.5"]) == (groups == "one")


def test_a_single_label_is_scored_too() -> None:
    data = dataclasses.replace(DATA, targets=DATA.targets[:, :1], labels=("red",))
    evaluation = evaluator(data=data, thresholds="fitted").validation(noisy_logits()[:, :1], with_fitted=True)
    assert 0 < evaluation.value <= 1
    assert len(evaluation.thresholds) == 1


def test_test_is_decided_by_the_thresholds_of_validation() -> None:
    logits = noisy_logits("test")
    probabilities = logits.sigmoid()
    threshold = probabilities[:, 0].double().sort().values[10].item()  # exactly an image's own score
    found = evaluator().test(logits, [threshold, 0.9, 0.1])
    decisions = probabilities.double() >= torch.tensor([threshold, 0.9, 0.1], dtype=torch.float64)
    targets = torch.from_numpy(DATA.targets[DATA.split["test"]]).bool()
    assert found.metrics["accuracy"] == pytest.approx((decisions == targets).all(1).float().mean().item())
    hits = (decisions & targets).sum(0)
    for column, label in enumerate(DATA.labels):
        precision = hits[column] / decisions[:, column].sum().clamp(min=1)
        assert found.per_label[label]["precision"] == pytest.approx(precision.item())
        assert found.per_label[label]["recall"] == pytest.approx((hits / targets.sum(0))[column].item())
    assert found.thresholds == [threshold, 0.9, 0.1]
    assert int(decisions[:, 0].sum()) == len(logits) - 10
    assert not any("@" in name for name in found.metrics)


@pytest.mark.parametrize("frozen", [0, 2, 5])
def test_logits_are_of_plain_views_in_order(frozen: int) -> None:
    classifier = build_classifier(small_config(), 3, None).train()
    classifier.freeze(frozen)
    images = DATA.split["val"]
    logits = split_logits(classifier, PrefixFeatures(classifier, DATA, CPU), images)
    with torch.no_grad():
        expected = classifier.eval()(torch.from_numpy(DATA.images[images]).permute(0, 3, 1, 2).float() / 255)
    assert torch.allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_few_images_pass_at_once_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = build_classifier(small_config(), 3, None)
    classifier.freeze(2)
    features, images = PrefixFeatures(classifier, DATA, CPU), DATA.split["val"]
    expected = split_logits(classifier, features, images)
    sizes, forward = [], Suffix.forward

    def noted(self: Suffix, x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(Suffix, "forward", noted)
    assert torch.allclose(split_logits(classifier, features, images, trained_at_once=2), expected, rtol=1e-4, atol=1e-5)
    assert len(images) == sum(sizes) > max(sizes) == 8


def test_predictions_are_saved_with_what_they_are_of(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "t0001.npz"
    logits = noisy_logits()
    decisions = (logits.sigmoid() >= 0.4).numpy().astype(np.uint8)
    save_predictions(path, logits, decisions, DATA, "val")
    saved = np.load(path)
    assert np.array_equal(saved["logits"], noisy_logits().numpy())
    assert np.array_equal(saved["decisions"], decisions)
    assert saved["decisions"].dtype == np.uint8
    assert np.array_equal(saved["targets"], DATA.targets[DATA.split["val"]])
    assert saved["ids"].tolist() == [DATA.ids[image] for image in DATA.split["val"]]
    assert saved["labels"].tolist() == ["red", "green", "blue"]
    assert list(path.parent.iterdir()) == [path]
