"""predictions/*.npz read back: logits, targets and decisions of a split's images."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.evidence.weighted import Floats, Scored


@dataclass(frozen=True)
class SavedPredictions:
    """One file: what a trial or a reference says of a split."""

    ids: tuple[str, ...]
    """of the images, in the file's order"""
    labels: tuple[str, ...]
    scored: Scored

    def of(self, ids: tuple[str, ...]) -> Scored | None:
        """The same in another order of the images; None where the file is of other images."""
        if ids == self.ids:
            return self.scored
        place = {image: row for row, image in enumerate(self.ids)}
        if len(ids) != len(self.ids) or not all(image in place for image in ids):
            return None
        rows = np.array([place[image] for image in ids])
        said = self.scored
        return Scored(said.probabilities[rows], said.decisions[rows], said.targets[rows], said.losses[rows])


def read_predictions(path: Path) -> SavedPredictions | None:
    """The predictions in a file; None where it is missing or not one of ours."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _parsed(arrays)
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        return None


def _parsed(arrays: Mapping[str, npt.NDArray[Any]]) -> SavedPredictions:
    logits, targets = arrays["logits"].astype(np.float32), arrays["targets"]
    if targets.ndim == 2:
        probabilities, true, losses = _of_labels(logits, targets.astype(bool))
        decisions = probabilities >= 0.5
    else:
        probabilities, true, losses = _of_classes(logits, targets.astype(np.intp))
        decisions = np.eye(logits.shape[1], dtype=bool)[logits.argmax(axis=1)]
    if "decisions" in arrays:  # by fitted thresholds, perhaps
        decisions = arrays["decisions"].astype(bool)
    if not logits.shape == true.shape == decisions.shape:
        raise ValueError("logits, targets and decisions differ in shape")
    ids, labels = (tuple(map(str, arrays[name].tolist())) for name in ("ids", "labels"))
    if len(ids) != len(logits):
        raise ValueError("there is not an id for each image")
    return SavedPredictions(ids, labels, Scored(probabilities, decisions, true, losses))


Parts = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], Floats]
"""probabilities [n, labels], targets [n, labels], losses [n]"""


def _of_labels(logits: npt.NDArray[np.float32], true: npt.NDArray[np.bool_]) -> Parts:
    """Multi-label: sigmoid, and binary cross-entropy as a mean over labels."""
    exact = logits.astype(np.float64)
    tail = np.exp(-np.abs(exact))
    probabilities = np.where(exact >= 0, 1.0, tail) / (1 + tail)
    losses = (np.maximum(exact, 0) - np.where(true, exact, 0) + np.log1p(tail)).mean(axis=1)
    return probabilities.astype(np.float32), true, losses


def _of_classes(logits: npt.NDArray[np.float32], classes: npt.NDArray[np.intp]) -> Parts:
    """Multi-class: softmax, and cross-entropy."""
    exact = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    total = np.exp(exact).sum(axis=1, keepdims=True)
    log_probabilities = exact - np.log(total)
    rows = np.arange(len(classes))
    true = np.zeros(logits.shape, dtype=bool)
    true[rows, classes] = True
    return np.exp(log_probabilities).astype(np.float32), true, -log_probabilities[rows, classes]
