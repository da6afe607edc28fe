"""Labels to look at again, by what trials say of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from trainable.errors import UserError
from tuner.evidence.suspected import SuspectedLabel, Suspicions, keep_suspicions, kept_suspicions, suspect_labels
from tuner.store import Store

IMAGES = 90


def suspicions(folder: Path, task: str, labels: list[str], logits: np.ndarray, targets: np.ndarray) -> Suspicions:
    store = Store.create(folder, "suspected")
    objective = {"metric": "accuracy", "direction": "maximize"}
    store.append("search_started", task=task, labels=labels, objective=objective, data={})
    store.append("trial_started", "t0001", config={})
    store.append("epoch", "t0001", epoch=1, value=0.5, best_value=0.5, best_epoch=1, val={"accuracy": 0.5})
    store.append("trial_ended", "t0001", status="complete")
    ids = np.array([f"{number:02}.png" for number in range(len(logits))])
    store.all_predictions.mkdir()
    np.savez(store.predictions("t0001"), logits=logits, targets=targets, ids=ids, labels=np.array(labels))
    return suspect_labels(store, store.record())


def sure(truth: np.ndarray) -> np.ndarray:
    """Logits of a model that knows: 4 for what is true, -4 for the rest, and a little noise."""
    noise = np.random.default_rng(0).normal(0, 0.5, truth.shape)
    return (np.where(truth, 4.0, -4.0) + noise).astype(np.float32)


def test_classes_that_the_model_contradicts(tmp_path: Path) -> None:
    true = np.arange(IMAGES) % 3
    given = true.copy()
    given[[7, 40]] = (true[[7, 40]] + 1) % 3
    logits = sure(np.eye(4, dtype=bool)[true])
    logits[[7, 40]] *= 2
    found = suspicions(tmp_path, "multiclass", ["cat", "dog", "fox", "owl"], logits, given)
    assert (found.trials, found.folds, found.images) == (("t0001",), 0, IMAGES)
    assert {(one.image, one.given, one.suggested) for one in found.labels} == {
        ("07.png", "fox", "dog"),
        ("40.png", "fox", "dog"),
    }
    assert all(one.confidence < 0.05 for one in found.labels)


def test_labels_that_are_missing_or_there_without_reason(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    true = rng.random((IMAGES, 3)) < [0.5, 0.3, 0.0]
    true[0], true[1] = [True, False, False], [False, False, False]
    given = true.copy()
    given[0, 0], given[1, 1] = False, True
    logits = sure(true)
    logits[:2] *= 2
    found = suspicions(tmp_path, "multilabel", ["day", "sea", "none has it"], logits, given.astype(np.float32))
    assert [SuspectedLabel(one.image, one.given, one.suggested, 0) for one in sorted(found.labels, key=str)] == [
        SuspectedLabel("00.png", None, "day", 0),
        SuspectedLabel("01.png", "sea", None, 0),
    ]


def test_the_least_confident_come_first(tmp_path: Path) -> None:
    true = np.arange(IMAGES) % 2
    given = true.copy()
    given[[3, 5, 8]] = 1 - true[[3, 5, 8]]
    logits = sure(np.eye(2, dtype=bool)[true])
    logits[[3, 5]] *= 2
    logits[8] *= 3
    found = suspicions(tmp_path, "multiclass", ["cat", "dog"], logits, given)
    assert found.labels[0].image == "08.png"
    confidences = [one.confidence for one in found.labels]
    assert confidences == sorted(confidences)


def test_nothing_is_suspected_where_one_class_is_left(tmp_path: Path) -> None:
    given = np.zeros(IMAGES, dtype=int)
    assert suspicions(tmp_path, "multiclass", ["cat", "dog"], sure(np.eye(2, dtype=bool)[given]), given).labels == ()


def test_without_cleanlab_or_predictions_a_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.create(tmp_path, "empty")
    with pytest.raises(UserError, match="no finished trial has predictions"):
        suspect_labels(store, store.record())
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(UserError, match=r"pip install 'thaw-tuner\[labels\]'"):
        suspicions(tmp_path, "multiclass", ["a", "b"], sure(np.eye(2, dtype=bool)), np.array([0, 1]))


def test_suspicions_that_are_kept_are_read_back(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "kept")
    assert kept_suspicions(store) is None
    labels = (SuspectedLabel("a.png", "cat", None, 0.25), SuspectedLabel("b.png", None, "dog", 0.5))
    found = Suspicions(("t0001", "t0002"), 3, 40, labels)
    keep_suspicions(store, found)
    assert kept_suspicions(store) == found
    store.suspected_json.write_text('{"labels": [3], "images": "many"}')
    assert kept_suspicions(store) == Suspicions((), 0, 0, (SuspectedLabel("", None, None, 0.0),))
