"""Labels that are probably wrong, by what trials say of images that they were not trained on.

Confident learning (Northcutt, Jiang, Chuang: Confident learning: estimating uncertainty in dataset labels, 2021), as
cleanlab does it: a label is suspected where another one is at least as probable as it usually is for its own images.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from trainable.errors import UserError
from tuner.evidence.held_out import HeldOut, held_out
from tuner.records import SearchRecord
from tuner.store import Store, write_atomically
from tuner.tolerant import integer, mapping, number, text

INSTALL = "pip install 'thaw-tuner[labels]'"


@dataclass(frozen=True)
class SuspectedLabel:
    """A label to look at; of several labels each is suspected on its own."""

    image: str
    given: str | None
    """None: a label that seems to be missing"""
    suggested: str | None
    """None: a label that seems to be there without reason"""
    confidence: float
    """probability that the label is right as it was given; by it suspicions are sorted, least first"""


@dataclass(frozen=True)
class Suspicions:
    """What is suspected, and by whom."""

    trials: tuple[str, ...]
    folds: int
    """0: of validation images alone"""
    images: int
    """that were looked at"""
    labels: tuple[SuspectedLabel, ...]


def suspect_labels(store: Store, record: SearchRecord) -> Suspicions:
    """The labels of a search's train and val images (with folds) or val images (without) to look at again.

    Raises:
        UserError: no finished trial has predictions; cleanlab is not installed.
    """
    store.fetch(store.all_predictions)
    found = held_out(store, record)
    if found is None:
        raise UserError(
            f"search {store.name!r}: no finished trial has predictions, by which labels could be suspected; "
            "ask again once one has"
        )
    suspected = _several(found) if record.task == "multilabel" else _one_of(found)
    by_confidence = sorted(suspected, key=lambda one: (one.confidence, one.image, one.given or one.suggested))
    return Suspicions(found.trials, found.folds, len(found.ids), tuple(by_confidence))


def keep_suspicions(store: Store, found: Suspicions) -> None:
    """Have them in the search's folder. Raises OSError."""
    write_atomically(store.suspected_json, json.dumps(asdict(found), indent=1) + "\n")


def kept_suspicions(store: Store) -> Suspicions | None:
    """As they were kept last; None where they never were."""
    if not store.suspected_json.exists():
        store.fetch(store.suspected_json)
    try:
        kept = mapping(json.loads(store.suspected_json.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    labels = [
        SuspectedLabel(
            image=text(one.get("image")),
            given=text(one.get("given")) or None,
            suggested=text(one.get("suggested")) or None,
            confidence=number(one.get("confidence")) or 0.0,
        )
        for one in map(mapping, kept.get("labels") or ())
    ]
    trials = tuple(map(text, kept.get("trials") or ()))
    return Suspicions(trials, integer(kept.get("folds")) or 0, integer(kept.get("images")) or 0, tuple(labels))


def _one_of(found: HeldOut) -> Iterator[SuspectedLabel]:
    given = found.targets.argmax(axis=1)
    occurring = np.unique(given)  # cleanlab wants an image of every class
    probabilities = found.probabilities[:, occurring]
    probabilities = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    for row in _issues(np.searchsorted(occurring, given), probabilities):
        one, other = found.labels[given[row]], found.labels[found.probabilities[row].argmax()]
        yield SuspectedLabel(found.ids[row], one, other, float(found.probabilities[row, given[row]]))


def _several(found: HeldOut) -> Iterator[SuspectedLabel]:
    """Each label for itself: there or not."""
    for column, label in enumerate(found.labels):
        there, probable = found.targets[:, column], found.probabilities[:, column]
        if there.all() or not there.any():
            continue
        for row in _issues(there.astype(int), np.stack([1 - probable, probable], axis=1)):
            image, probability = found.ids[row], float(probable[row])
            if there[row]:
                yield SuspectedLabel(image, label, None, probability)
            else:
                yield SuspectedLabel(image, None, label, 1 - probability)


def _issues(given: npt.NDArray[np.intp], probabilities: npt.NDArray[np.float64]) -> list[int]:
    """Rows whose class is suspected."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise UserError(f"suspected labels need cleanlab: {INSTALL}") from None
    if probabilities.shape[1] < 2:
        return []
    suspected = find_label_issues(given, probabilities, filter_by="confident_learning", n_jobs=1)
    return [int(row) for row in np.flatnonzero(suspected)]
