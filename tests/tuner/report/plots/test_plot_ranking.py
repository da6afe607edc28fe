from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plot_records import LABELS, guessed, search, source, trial, write_predictions
from sklearn.metrics import average_precision_score, roc_auc_score

from tuner.report.plots.ranking import MOST_POINTS, RankingCurves, ranking_curves
from tuner.report.plots.source import Source


@pytest.fixture
def pets(tmp_path: Path) -> Source:
    return source(tmp_path, search(trial(0, [0.5]), trial(1, [0.7]), trial(2, [0.9], "pruned")))


def curves(source: Source) -> RankingCurves:
    found = ranking_curves(source)
    assert found is not None
    return found


def test_areas_are_those_of_scikit_learn(pets: Source) -> None:
    logits, targets = guessed(80, 3, multilabel=True)
    write_predictions(pets.store.test_predictions("t0002"), logits, targets)
    found = curves(pets)
    assert (found.trial, found.split, found.images) == ("t0002", "test", 80)
    assert found.roc.macro == pytest.approx(roc_auc_score(targets, logits, average="macro"))
    assert found.roc.micro.area == pytest.approx(roc_auc_score(targets, logits, average="micro"))
    assert found.precision_recall.macro == pytest.approx(average_precision_score(targets, logits, average="macro"))
    assert found.precision_recall.micro.area == pytest.approx(average_precision_score(targets, logits, average="micro"))
    assert found.prevalence == pytest.approx(targets.mean())
    assert [curve.label for curve in found.roc.each] == list(LABELS)
    assert found.roc.lowest.area == min(curve.area for curve in found.roc.each)


def test_classes_are_taken_one_against_the_others(pets: Source) -> None:
    logits, classes = guessed(60, 3, multilabel=False)
    write_predictions(pets.store.test_predictions("t0002"), logits, classes)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert curves(pets).roc.macro == pytest.approx(roc_auc_score(classes, softmax, multi_class="ovr"))


def test_without_test_validation_is_shown_and_said(pets: Source) -> None:
    write_predictions(pets.store.predictions("t0002"), *guessed(40, 3, multilabel=True))
    assert curves(pets).split == "validation"


def test_labels_that_cannot_be_ranked_are_left_out_and_named(pets: Source) -> None:
    logits, targets = guessed(40, 3, multilabel=True)
    targets[:, 1] = 0
    write_predictions(pets.store.test_predictions("t0002"), logits, targets)
    assert curves(pets).roc.left_out == ("dog",)
    targets[:] = 1
    write_predictions(pets.store.test_predictions("t0002"), logits, targets)
    assert ranking_curves(pets) is None


def test_long_curves_keep_their_ends(pets: Source) -> None:
    write_predictions(pets.store.test_predictions("t0002"), *guessed(3000, 3, multilabel=True))
    micro = curves(pets).roc.micro
    assert len(micro.x) == MOST_POINTS
    assert (micro.x[0], micro.y[0], micro.x[-1], micro.y[-1]) == (0, 0, 1, 1)


@pytest.mark.parametrize("content", [b"", b"no npz", None])
def test_what_cannot_be_read_is_not_shown(pets: Source, content: bytes | None) -> None:
    path = pets.store.test_predictions("t0002")
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    assert ranking_curves(pets) is None


def test_predictions_that_are_no_numbers_are_not_shown(pets: Source) -> None:
    logits, targets = guessed(40, 3, multilabel=True)
    logits[3, 1] = np.nan
    write_predictions(pets.store.test_predictions("t0002"), logits, targets)
    assert ranking_curves(pets) is None
