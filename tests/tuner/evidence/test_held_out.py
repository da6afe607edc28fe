"""What trials say together of images that they were not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_predictions import PredictedSearch, right_on

from tuner.evidence.held_out import HeldOut, held_out


@pytest.fixture
def predicted(tmp_path: Path) -> PredictedSearch:
    return PredictedSearch(tmp_path, task="multilabel", labels=["a", "b"])


def told(predicted: PredictedSearch) -> HeldOut:
    found = held_out(predicted.store, predicted.record)
    assert found is not None
    return found


def test_nothing_before_a_trial_has_ended(predicted: PredictedSearch) -> None:
    predicted.log("t0001", 0.5)
    assert held_out(predicted.store, predicted.record) is None


def test_the_mean_of_the_best_trials_on_validation(predicted: PredictedSearch) -> None:
    for number in range(1, 8):
        predicted.add(f"t000{number}", right_on(range(8 * number)))
    found = told(predicted)
    assert (found.trials, found.folds, len(found.ids)) == (("t0007", "t0006", "t0005", "t0004", "t0003"), 0, 60)
    high, low = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))
    assert found.probabilities[0].tolist() == pytest.approx([high, low])
    assert found.probabilities[55].tolist() == pytest.approx([(high + 4 * low) / 5, (low + 4 * high) / 5])
    assert found.targets[0].tolist() == [True, False]


def add_folds(predicted: PredictedSearch, folds: dict[int, str]) -> None:
    """Folds of t0001, each of which validates on all images of a split."""
    for fold, split in folds.items():
        name = f"t0001-f{fold + 1}"
        value = predicted.score(name, right_on(range(60)), split="val" if split == "val" else "test")
        written = predicted.store.test_predictions(name) if split != "val" else predicted.store.predictions(name)
        arrays = dict(np.load(written))
        arrays["ids"] = np.array([f"{split}{image}" for image in range(60)])
        written.unlink()
        np.savez(predicted.store.predictions(name), **arrays)
        predicted.log(name, value, rerun={"of": "t0001", "kind": "fold", "seed": 0, "data_seed": 3, "fold": fold})


def test_folds_tell_of_train_and_val_alike(predicted: PredictedSearch) -> None:
    predicted.add("t0001", right_on(range(50)))
    predicted.add("t0002", right_on(range(20)))
    add_folds(predicted, {0: "train", 1: "val"})
    found = told(predicted)
    assert (found.trials, found.folds, len(found.ids)) == (("t0001",), 2, 120)
    assert {image.rstrip("0123456789") for image in found.ids} == {"train", "val"}


def test_a_fold_that_is_missing_leaves_validation(predicted: PredictedSearch) -> None:
    predicted.add("t0001", right_on(range(50)))
    add_folds(predicted, {1: "val"})
    assert told(predicted).folds == 0
