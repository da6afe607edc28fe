from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner.evidence.across import difference_across
from tuner.store import Store

IMAGES = 30


def predicted(folder: Path, name: str, right: float, ids: list[str] | None = None, **arrays: Any) -> Store:
    """A search whose t0001 tells this share of two labels right on validation."""
    store = Store.create(folder, name)
    ids = ids or [f"{number:02}" for number in range(IMAGES)]
    store.splits.write_text("image,split,group\n" + "".join(f"{image},val,\n" for image in ids))
    by_image = {image: np.random.default_rng(int(image)) for image in sorted(ids)}
    targets = np.stack([by_image[image].random(2) < 0.5 for image in ids])
    said = np.stack([by_image[image].random(2) < right for image in ids]) == targets
    store.predictions("t0001").parent.mkdir()
    saved = {
        "logits": np.where(said, 2.0, -2.0),
        "targets": targets.astype(np.float32),
        "ids": ids,
        "labels": ["a", "b"],
    }
    np.savez(store.predictions("t0001"), **(saved | arrays))
    return store


def test_a_difference_and_its_reverse_mirror_each_other(tmp_path: Path) -> None:
    good, bad = (predicted(tmp_path, "good", 0.95), "t0001"), (predicted(tmp_path, "bad", 0.5), "t0001")
    found, reverse = difference_across(good, bad, "val", "f1_macro"), difference_across(bad, good, "val", "f1_macro")
    assert found
    assert reverse
    assert 0 < found.low < found.value < found.high
    assert (reverse.value, reverse.low, reverse.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert found.images == IMAGES


def test_images_are_paired_by_name_and_not_by_place(tmp_path: Path) -> None:
    forwards = predicted(tmp_path, "forwards", 0.8)
    backwards = predicted(tmp_path, "backwards", 0.8, [f"{number:02}" for number in reversed(range(IMAGES))])
    found = difference_across((forwards, "t0001"), (backwards, "t0001"), "val", "f1_macro")
    assert found
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_without_the_same_images_and_truth_there_is_no_difference(tmp_path: Path) -> None:
    one = predicted(tmp_path, "one", 0.8), "t0001"
    others = [
        predicted(tmp_path, "images", 0.8, [f"{number:02}" for number in range(1, IMAGES + 1)]),
        predicted(tmp_path, "truth", 0.8, targets=np.ones((IMAGES, 2), dtype=np.float32)),
        Store.create(tmp_path, "none"),
    ]
    assert [difference_across(one, (other, "t0001"), "val", "f1_macro") for other in others] == [None] * 3
    assert difference_across(one, one, "test", "f1_macro") is None
    assert difference_across(one, one, "val", "a_plugins_metric") is None


def test_of_few_images_nothing_is_said(tmp_path: Path) -> None:
    few = predicted(tmp_path, "few", 0.8, [f"{number:02}" for number in range(5)]), "t0001"
    assert difference_across(few, few, "val", "f1_macro") is None
