from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from trainable.evaluation import predict_all
from trainable.losses import unweighted_loss
from trainable.metrics import AVERAGES, Predictions, scores
from tuner.evidence import weighted as weighted_module
from tuner.evidence.weighted import Scored, known, weighted_metric

AVERAGED = ("precision", "recall", "f0.5", "f1", "f2", "average_precision", "roc_auc")
NAMES = ("loss", "accuracy", *(f"{base}_{average}" for base in AVERAGED for average in AVERAGES))


@st.composite
def multi_label(draw: st.DrawFn) -> Predictions:
    """Few scores and so many ties; labels and images without a positive, or without a negative, come up often."""
    import torch

    images, labels = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    levels, share = draw(st.sampled_from([2, 4, 1000])), draw(st.sampled_from([0.1, 0.5, 0.9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = torch.from_numpy(4 * rng.integers(-levels, levels + 1, (images, labels)) / levels).float()
    targets = torch.from_numpy((rng.random((images, labels)) < share).astype(np.float32))
    return predict_all(logits, targets, "multilabel")


@st.composite
def multi_class(draw: st.DrawFn) -> Predictions:
    import torch

    images, labels = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = torch.from_numpy(rng.integers(-2, 3, (images, labels))).float()
    return predict_all(logits, torch.from_numpy(rng.integers(0, labels, images)), "multiclass")


def scored(predictions: Predictions) -> Scored:
    images = len(predictions.targets)
    return Scored(
        predictions.probabilities.numpy(),
        predictions.decisions.numpy().astype(bool),
        predictions.targets.numpy().astype(bool),
        np.full(images, predictions.loss),
    )


def of_weights(predictions: Predictions, name: str, weights: list[int]) -> float:
    return float(weighted_metric(scored(predictions), name, np.array(weights)[:, None])[0])


@settings(deadline=None, max_examples=40)
@given(st.one_of(multi_label(), multi_class()), st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
def test_with_every_image_once_it_is_what_training_reports(predictions: Predictions, names: list[str]) -> None:
    for name in names:
        found = of_weights(predictions, name, [1] * len(predictions.targets))
        assert found == pytest.approx(scores(predictions, [name])[name], abs=1e-6, nan_ok=True), name


@settings(deadline=None, max_examples=40)
@given(st.one_of(multi_label(), multi_class()), st.data())
def test_an_image_of_weight_two_counts_as_two_images_and_one_of_zero_as_none(
    predictions: Predictions, data: st.DataObject
) -> None:
    import torch

    images = len(predictions.targets)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=images, max_size=images).filter(any))
    name = data.draw(st.sampled_from(NAMES[1:]))
    rows = torch.from_numpy(np.repeat(np.arange(images), weights))
    drawn = Predictions(predictions.probabilities[rows], predictions.decisions[rows], predictions.targets[rows], 0.0)
    expected = scores(drawn, [name])[name]
    assert of_weights(predictions, name, weights) == pytest.approx(expected, abs=1e-6, nan_ok=True), name


@settings(deadline=None, max_examples=40)
@given(multi_label().filter(lambda p: p.targets.shape[1] > 1), st.data())
def test_weighted_it_is_what_scikit_learn_calls_sample_weight(predictions: Predictions, data: st.DataObject) -> None:
    targets, decisions = predictions.targets.numpy(), predictions.decisions.numpy()
    images = len(targets)
    weights = data.draw(st.lists(st.integers(1, 4), min_size=images, max_size=images))
    averages = AVERAGES if targets.any(axis=0).all() else ("micro", "samples")  # it counts labels without a positive
    average = data.draw(st.sampled_from(averages))
    options = {"average": average, "sample_weight": weights}
    expected = {
        "accuracy": sk.accuracy_score(targets, decisions, sample_weight=weights),
        f"f2_{average}": sk.fbeta_score(targets, decisions, beta=2, zero_division=0, **options),
        f"precision_{average}": sk.precision_score(targets, decisions, zero_division=0, **options),
        f"recall_{average}": sk.recall_score(targets, decisions, zero_division=0, **options),
    }
    if average != "samples" and targets.any(axis=0).all():
        expected[f"average_precision_{average}"] = sk.average_precision_score(
            targets, predictions.probabilities.numpy(), **options
        )
        if not targets.all(axis=0).any():
            expected[f"roc_auc_{average}"] = sk.roc_auc_score(targets, predictions.probabilities.numpy(), **options)
    for name, value in expected.items():
        assert of_weights(predictions, name, weights) == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("name", NAMES)
def test_many_weightings_at_once_are_each_one_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    said, true = rng.random((20, 3)).astype(np.float32), rng.random((20, 3)) < 0.4
    given_ = Scored(said, said > 0.5, true, rng.random(20))
    weights = rng.integers(0, 3, (20, 7)).astype(np.uint8)
    alone = np.array([weighted_metric(given_, name, weights[:, [column]])[0] for column in range(7)])
    monkeypatch.setattr(weighted_module, "_CHUNK_BYTES", 200)  # so that they are taken in chunks
    together = weighted_metric(given_, name, weights)
    assert together.shape == (7,)
    np.testing.assert_allclose(together, alone)


def test_the_loss_is_the_weighted_mean_of_the_images_losses() -> None:
    import torch

    rng = np.random.default_rng(4)
    logits, targets = torch.from_numpy(rng.normal(size=(9, 4))), torch.from_numpy(rng.integers(0, 4, 9))
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none").numpy()
    nothing = np.zeros((9, 4), dtype=bool)
    given_ = Scored(nothing.astype(np.float32), nothing, nothing, losses)
    once, twice = np.ones((9, 1)), np.full((9, 1), 2)
    assert weighted_metric(given_, "loss", once)[0] == pytest.approx(
        float(unweighted_loss(logits, targets, "multiclass"))
    )
    assert weighted_metric(given_, "loss", twice)[0] == pytest.approx(weighted_metric(given_, "loss", once)[0])


def test_it_knows_its_metrics_by_name() -> None:
    assert all(known(name) for name in (*NAMES, "f1.5_macro"))
    assert not any(known(name) for name in ("f2", "loss_macro", "hamming", "fbeta_macro", "my_own_macro", ""))
