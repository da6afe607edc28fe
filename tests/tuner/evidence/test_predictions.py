from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainable.evaluation import predict_all
from tuner.evidence.predictions import read_predictions


def written(path: Path, **arrays: Any) -> Path:
    kept = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
    np.savez(path, **kept)
    return path


def file_of(tmp_path: Path, **changed: Any) -> Path:
    """Three images of two labels."""
    arrays = {
        "logits": np.array([[3, -2], [-1, 0.5], [0, -90]], dtype=np.float32),
        "targets": np.array([[1, 0], [0, 0], [1, 1]], dtype=np.float32),
        "ids": ["a", "b", "c"],
        "labels": ["red", "blue"],
    }
    return written(tmp_path / "trial.npz", **(arrays | changed))


def test_labels_are_decided_at_one_half_as_training_does(tmp_path: Path) -> None:
    import torch

    found = read_predictions(path := file_of(tmp_path))
    assert found
    arrays = np.load(path)
    expected = predict_all(torch.from_numpy(arrays["logits"]), torch.from_numpy(arrays["targets"]), "multilabel")
    np.testing.assert_allclose(found.scored.probabilities, expected.probabilities.numpy(), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found.scored.decisions, expected.decisions.numpy())
    assert found.scored.losses.mean() == pytest.approx(expected.loss, rel=1e-6)
    assert (found.ids, found.labels) == (("a", "b", "c"), ("red", "blue"))


def test_the_likeliest_class_is_decided_for(tmp_path: Path) -> None:
    import torch

    found = read_predictions(path := file_of(tmp_path, targets=np.array([0, 1, 1])))
    assert found
    arrays = np.load(path)
    expected = predict_all(torch.from_numpy(arrays["logits"]), torch.from_numpy(arrays["targets"]), "multiclass")
    np.testing.assert_allclose(found.scored.probabilities, expected.probabilities.numpy(), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found.scored.targets, expected.targets.numpy())
    np.testing.assert_array_equal(found.scored.decisions, expected.decisions.numpy())
    assert found.scored.losses.mean() == pytest.approx(expected.loss, rel=1e-6)


def test_decisions_in_the_file_win(tmp_path: Path) -> None:
    decisions = np.array([[0, 1], [1, 0], [0, 0]], dtype=np.uint8)
    found = read_predictions(file_of(tmp_path, decisions=decisions))
    assert found
    np.testing.assert_array_equal(found.scored.decisions, decisions.astype(bool))


def test_images_are_found_in_any_order_and_others_are_not(tmp_path: Path) -> None:
    found = read_predictions(file_of(tmp_path))
    assert found
    turned = found.of(("c", "a", "b"))
    assert turned
    np.testing.assert_array_equal(turned.targets, found.scored.targets[[2, 0, 1]])
    np.testing.assert_array_equal(turned.losses, found.scored.losses[[2, 0, 1]])
    assert found.of(("a", "b")) is None
    assert found.of(("a", "b", "d")) is None


@pytest.mark.parametrize(
    "changed",
    [{"logits": None}, {"ids": ["a"]}, {"decisions": np.zeros((3, 3))}, {"targets": np.array([0, 1, 7])}],
    ids=["without logits", "too few ids", "decisions of other labels", "a class without a label"],
)
def test_what_is_not_one_of_ours_counts_as_missing(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert read_predictions(file_of(tmp_path, **changed)) is None


def test_a_missing_or_torn_file_counts_as_missing(tmp_path: Path) -> None:
    whole = file_of(tmp_path)
    torn = tmp_path / "torn.npz"
    torn.write_bytes(whole.read_bytes()[:200])
    assert read_predictions(torn) is None
    torn.write_bytes(b"")
    assert read_predictions(torn) is None
    assert read_predictions(tmp_path / "none.npz") is None
