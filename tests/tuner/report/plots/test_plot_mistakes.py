from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plot_records import LABELS, close, guessed, search, source, trial, write_predictions
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tuner.records import EpochRecord
from tuner.report.plots.mistakes import MOST_LABELS, confusion, label_scores
from tuner.report.plots.source import Source


def classes_of(folder: Path) -> Source:
    return source(folder, search(trial(0, [0.5]), task="multiclass"))


def labels_of(folder: Path) -> Source:
    return source(folder, search(trial(0, [0.5])))


def test_the_matrix_is_that_of_scikit_learn(tmp_path: Path) -> None:
    logits, classes = guessed(60, 3, multilabel=False)
    pets = classes_of(tmp_path)
    write_predictions(pets.store.test_predictions("t0001"), logits, classes)
    found = confusion(pets)
    assert found is not None
    assert (found.counts == confusion_matrix(classes, logits.argmax(1))).all()
    assert found.shares.sum(axis=1) == pytest.approx(1)
    assert found.accuracy == pytest.approx((classes == logits.argmax(1)).mean())
    assert label_scores(pets) is None


def test_the_most_confused_pairs_come_first(tmp_path: Path) -> None:
    pets = classes_of(tmp_path)
    said = np.eye(3)[[0, 1, 1, 1, 2, 0, 2]]
    write_predictions(pets.store.test_predictions("t0001"), said, np.array([0, 0, 0, 1, 1, 2, 2]))
    found = confusion(pets)
    assert found is not None
    assert found.pairs == [("cat", "dog", 2, pytest.approx(2 / 3)), ("dog", "owl", 1, 0.5), ("owl", "cat", 1, 0.5)]


def test_scores_by_label_are_those_of_scikit_learn_and_sorted(tmp_path: Path) -> None:
    logits, targets = guessed(80, 3, multilabel=True)
    pets = labels_of(tmp_path)
    write_predictions(pets.store.test_predictions("t0001"), logits, targets)
    found = label_scores(pets)
    assert found is not None
    expected = np.array(precision_recall_fscore_support(targets, logits >= 0)).T
    for row in found.labels:
        precision, recall, f1, positives = expected[LABELS.index(row.label)]
        assert close(row.precision, precision)
        assert close(row.recall, recall)
        assert close(row.f1, f1)
        assert (row.positives, row.threshold) == (positives, 0.5)
    values = [row.f1 for row in found.labels if row.f1 is not None]
    assert values == sorted(values, reverse=True)
    assert confusion(pets) is None


def test_decisions_are_those_that_the_metrics_were_computed_on(tmp_path: Path) -> None:
    logits, targets = guessed(80, 3, multilabel=True)
    best = EpochRecord(1, value=0.5, best_value=0.5, best_epoch=1, best={"thresholds": [0.2, 0.3, 0.4]})
    fitted = replace(trial(0, config={"thresholds": "fitted"}), epochs=(best,))
    pets = source(tmp_path, search(fitted))
    write_predictions(pets.store.test_predictions("t0001"), logits, targets, decisions=targets)
    found = label_scores(pets)
    assert found is not None
    assert found.fitted
    assert {row.label: row.threshold for row in found.labels} == {"cat": 0.2, "dog": 0.3, "owl": 0.4}
    assert all(row.f1 == 1 for row in found.labels)


def test_a_label_without_a_positive_has_no_score_and_comes_last(tmp_path: Path) -> None:
    logits, targets = guessed(80, 3, multilabel=True)
    targets[:, 0] = 0
    pets = labels_of(tmp_path)
    write_predictions(pets.store.test_predictions("t0001"), logits, targets)
    found = label_scores(pets)
    assert found is not None
    assert found.labels[-1].label == "cat"
    assert found.labels[-1].f1 is None


def test_of_many_labels_the_best_and_the_worst_are_shown(tmp_path: Path) -> None:
    pets = labels_of(tmp_path)
    names = [f"label {at}" for at in range(MOST_LABELS + 5)]
    write_predictions(pets.store.test_predictions("t0001"), *guessed(200, len(names), multilabel=True), labels=names)
    found = label_scores(pets)
    assert found is not None
    assert (len(found.labels), found.left_out) == (MOST_LABELS, 5)


def test_a_single_label_is_scored_as_well(tmp_path: Path) -> None:
    pets = labels_of(tmp_path)
    write_predictions(pets.store.test_predictions("t0001"), [[1.0], [-1.0], [1.0]], [[1.0], [1.0], [0.0]], ["only"])
    found = label_scores(pets)
    assert found is not None
    assert (found.labels[0].precision, found.labels[0].recall, found.labels[0].f1) == (0.5, 0.5, 0.5)
