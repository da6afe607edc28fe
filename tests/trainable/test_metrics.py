from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from trainable.errors import UserError
from trainable.evaluation import predict_all
from trainable.metrics import AVERAGES, METRICS, REPORTED, Predictions, label_scores, parse_objective, scores
from trainable.task import Task

BETAS = (0.5, 1.0, 2.0, 3.5)


def averaged_names() -> list[str]:
    bases = [f"f{beta:g}" for beta in BETAS] + [name for name, row in METRICS.items() if row.averaged and name != "f1"]
    return [f"{base}_{average}" for base, average in product(bases, AVERAGES)]


@st.composite
def multi_label(draw: st.DrawFn) -> Predictions:
    """Few scores and so many ties; labels and images without a positive, or without a negative, come up often."""
    images, labels = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    seed, levels = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([2, 4, 1000]))
    share = draw(st.sampled_from([0.1, 0.5, 0.9]))
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(4 * rng.integers(-levels, levels + 1, (images, labels)) / levels).float()
    targets = torch.from_numpy((rng.random((images, labels)) < share).astype(np.float32))
    return predict_all(logits, targets, "multilabel")


@st.composite
def multi_class(draw: st.DrawFn) -> Predictions:
    images, labels = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = torch.from_numpy(rng.integers(-2, 3, (images, labels))).float()
    return predict_all(logits, torch.from_numpy(rng.integers(0, labels, images)), "multiclass")


def by_column(score: Callable[[np.ndarray, np.ndarray], float], targets: np.ndarray, said: np.ndarray) -> np.ndarray:
    return np.array([score(targets[:, column], said[:, column]) for column in range(targets.shape[1])])


def average_precision(targets: np.ndarray, said: np.ndarray) -> float:
    return sk.average_precision_score(targets, said) if targets.any() else float("nan")


def roc_auc(targets: np.ndarray, said: np.ndarray) -> float:
    return sk.roc_auc_score(targets, said) if targets.any() and not targets.all() else float("nan")


def column_score(base: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """scikit-learn's score of one column of decisions, or of probabilities."""
    if base == "average_precision":
        return average_precision
    if base == "roc_auc":
        return roc_auc
    if base in ("precision", "recall"):
        score = {"precision": sk.precision_score, "recall": sk.recall_score}[base]
        return lambda targets, said: float(score(targets, said, zero_division=0))
    return lambda targets, said: float(sk.fbeta_score(targets, said, beta=float(base[1:]), zero_division=0))


def by_scikit_learn(predictions: Predictions, name: str) -> float:
    base, _, average = name.rpartition("_")
    ranked = base in ("average_precision", "roc_auc")
    said = (predictions.probabilities if ranked else predictions.decisions).numpy()
    targets = predictions.targets.numpy()
    score = column_score(base)
    if average == "micro":
        return score(targets.reshape(-1), said.reshape(-1))
    if average == "samples":
        rows = by_column(score, targets.T, said.T)
        if base == "average_precision":
            rows = np.nan_to_num(rows)  # average="samples" counts an image without a label as 0
        return float(np.nanmean(rows)) if not np.isnan(rows).all() else float("nan")
    present = targets.any(axis=0)
    values, support = by_column(score, targets, said)[present], targets.sum(axis=0)[present]
    defined = ~np.isnan(values)
    if not defined.any():
        return float("nan")
    return float(np.average(values[defined], weights=support[defined] if average == "weighted" else None))


@settings(deadline=None, max_examples=100)
@given(st.one_of(multi_label(), multi_class()), st.lists(st.sampled_from(averaged_names()), unique=True, max_size=4))
def test_every_metric_and_average_is_scikit_learn_s(predictions: Predictions, names: list[str]) -> None:
    """Labels without a positive are left out of means over labels; what cannot be ranked is NaN."""
    found = scores(predictions, names)
    assert list(found) == names
    for name in names:
        assert found[name] == pytest.approx(by_scikit_learn(predictions, name), abs=1e-6, nan_ok=True), name


@settings(deadline=None, max_examples=10)
@given(multi_label().filter(lambda p: bool(p.present.all()) and p.targets.shape[1] > 1))
def test_with_every_label_present_they_are_scikit_learn_s_own_averages(predictions: Predictions) -> None:
    """Without the columns above: scikit-learn's `average=`, for a second opinion."""
    targets, decisions = predictions.targets.numpy(), predictions.decisions.numpy()
    for average in AVERAGES:
        for beta in BETAS:
            expected = sk.fbeta_score(targets, decisions, beta=beta, average=average, zero_division=0)
            found = scores(predictions, [f"f{beta:g}_{average}"])
            assert found[f"f{beta:g}_{average}"] == pytest.approx(expected, abs=1e-6)
        if average != "samples":
            expected = sk.average_precision_score(targets, predictions.probabilities.numpy(), average=average)
            found = scores(predictions, [f"average_precision_{average}"])
            assert found[f"average_precision_{average}"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_each_kind_is_scikit_learn_s_own_where_all_is_defined(task: Task, average: str) -> None:
    """Its `average=` on indicator matrices; on class numbers too, where it has that average for them."""
    rng = np.random.default_rng(3)
    logits = torch.from_numpy(rng.normal(size=(80, 4))).float()
    classes = torch.from_numpy(rng.integers(0, 4, 80))
    several = torch.from_numpy(np.eye(4, dtype=np.float32)[classes] + np.eye(4, dtype=np.float32)[(classes + 1) % 4])
    predictions = predict_all(logits, several if task == "multilabel" else classes, task)
    truth, said = predictions.targets.numpy(), predictions.decisions.numpy()
    kept = {"average": average, "zero_division": 0}
    expected = {
        f"precision_{average}": sk.precision_score(truth, said, **kept),
        f"recall_{average}": sk.recall_score(truth, said, **kept),
        f"f1_{average}": sk.f1_score(truth, said, **kept),
        f"f2_{average}": sk.fbeta_score(truth, said, beta=2, **kept),
        f"average_precision_{average}": sk.average_precision_score(truth, predictions.probabilities, average=average),
        f"roc_auc_{average}": sk.roc_auc_score(truth, predictions.probabilities, average=average),
        "accuracy": sk.accuracy_score(truth, said),
    }
    assert scores(predictions, expected) == pytest.approx(expected, abs=1e-6)
    if task == "multiclass" and average != "samples":
        found, numbers = logits.argmax(1).numpy(), classes.numpy()
        assert expected[f"f2_{average}"] == pytest.approx(sk.fbeta_score(numbers, found, beta=2, **kept))
        assert expected["accuracy"] == pytest.approx(sk.accuracy_score(numbers, found))


@settings(deadline=None, max_examples=25)
@given(st.one_of(multi_label(), multi_class()))
def test_accuracy_is_of_whole_label_sets(predictions: Predictions) -> None:
    expected = sk.accuracy_score(predictions.targets.numpy(), predictions.decisions.numpy())
    assert scores(predictions, ["accuracy"])["accuracy"] == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(multi_class())
def test_micro_averages_of_classes_are_the_accuracy(predictions: Predictions) -> None:
    found = scores(predictions, ["accuracy", "precision_micro", "recall_micro", "f1_micro"])
    assert all(value == pytest.approx(found["accuracy"], abs=1e-6) for value in found.values())


def test_the_loss_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(50, 4))).float()
    classes = torch.from_numpy(rng.integers(0, 4, 50))
    found = predict_all(logits, classes, "multiclass")
    expected = sk.log_loss(classes, logits.double().softmax(1).numpy(), labels=range(4))
    assert scores(found, ["loss"])["loss"] == pytest.approx(expected, abs=1e-6)
    targets = torch.from_numpy((rng.random((50, 4)) < 0.3).astype(np.float32))
    found = predict_all(logits, targets, "multilabel")
    said = found.probabilities.numpy().astype(np.float64)
    expected = sk.log_loss(targets.reshape(-1), said.reshape(-1), labels=[0, 1])
    assert scores(found, ["loss"])["loss"] == pytest.approx(expected, abs=1e-6)


def test_many_images_are_scored_as_exactly() -> None:
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(size=(5000, 8))).float()
    targets = torch.from_numpy((rng.random((5000, 8)) < 0.1).astype(np.float32))
    predictions = predict_all(logits, targets, "multilabel")
    names = [name for name in REPORTED if name not in ("loss", "accuracy")]
    for name, value in scores(predictions, names).items():
        assert value == pytest.approx(by_scikit_learn(predictions, name), abs=1e-6), name


def test_undefined_metrics_are_nan() -> None:
    logits = torch.zeros(4, 2)
    nothing = predict_all(logits, torch.zeros(4, 2), "multilabel")
    found = scores(nothing, averaged_names())
    for name, value in found.items():
        base, _, average = name.rpartition("_")
        ranks = base in ("average_precision", "roc_auc")
        counted = name == "average_precision_samples"  # as 0, as scikit-learn does
        assert math.isnan(value) == ((ranks and not counted) or average in ("macro", "weighted")), name
    everything = predict_all(logits, torch.ones(4, 2), "multilabel")
    assert math.isnan(scores(everything, ["roc_auc_macro"])["roc_auc_macro"])
    assert scores(everything, ["average_precision_macro"])["average_precision_macro"] == 1.0


@settings(deadline=None, max_examples=15)
@given(st.one_of(multi_label(), multi_class()))
def test_label_scores_are_of_the_labels_that_are_there(predictions: Predictions) -> None:
    labels = [f"label{column}" for column in range(predictions.targets.shape[1])]
    found = label_scores(predictions, labels)
    targets = predictions.targets.numpy()
    assert list(found) == [label for label, here in zip(labels, targets.any(axis=0), strict=True) if here]
    for label, said in found.items():
        column = labels.index(label)
        assert said["positives"] == targets[:, column].sum()
        for name in ("precision", "recall", "f1", "average_precision"):
            matrix = predictions.probabilities if name == "average_precision" else predictions.decisions
            expected = column_score(name)(targets[:, column], matrix.numpy()[:, column])
            assert said[name] == pytest.approx(expected, abs=1e-6)


def test_directions() -> None:
    assert parse_objective("loss").direction == "minimize"
    for name in ["accuracy", *averaged_names()]:
        objective = parse_objective(name)
        assert (objective.metric, objective.direction) == (name, "maximize")
    assert set(REPORTED) <= {"loss", "accuracy", *averaged_names()}


def test_better_is_strictly_so() -> None:
    up, down = parse_objective("f1_macro"), parse_objective("loss")
    assert up.better(0.2, 0.1)
    assert not up.better(0.1, 0.1)
    assert down.better(0.1, 0.2)
    assert not down.better(0.1, 0.1)
    assert up.better(0.0, None)
    assert down.better(9.0, None)


def test_what_thresholds_change_and_aim_at() -> None:
    assert parse_objective("f2_macro").on_decisions
    assert parse_objective("accuracy").on_decisions
    assert not parse_objective("loss").on_decisions
    assert not parse_objective("roc_auc_macro").on_decisions
    betas = [parse_objective(name).beta for name in ("f2_macro", "f0.5_micro", "f1_samples", "accuracy", "loss")]
    assert betas == [2.0, 0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("f2_makro", "'f2_macro'"),
        ("f2", "'f2_m"),
        ("f1-micro", "'f1_micro'"),
        ("acuracy", "'accuracy'"),
        ("accuracy_macro", "'accuracy'"),
        ("roc_auc", "'roc_auc_m"),
        ("average_precison_micro", "'average_precision_micro'"),
        ("recal_weighted", "'recall_weighted'"),
        ("f0_macro", "'f1_macro'"),
    ],
)
def test_an_unknown_metric_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UserError, match=f"objective: unknown metric '{name}'; did you mean {near}"):
        parse_objective(name)


@pytest.mark.parametrize("name", ["", "banana", "loss_macro", "f1_median", "f_macro", "f-1_macro", "F1_macro"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"known: loss, accuracy; precision, recall, f<beta>, .* _macro, _micro"):
        parse_objective(name)
