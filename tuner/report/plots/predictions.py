"""Trials' predictions, and which of the best one's are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from tuner.evidence.predictions import read_predictions
from tuner.records import TrialRecord
from tuner.report.plots.source import Source
from tuner.store import Store

Split = Literal["test", "validation"]


@dataclass(frozen=True)
class Predicted:
    """What one trial said of one split; every array is `[images, labels]`."""

    trial: TrialRecord
    split: Split
    ids: tuple[str, ...]
    """of the images"""
    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    targets: npt.NDArray[np.bool_]
    decisions: npt.NDArray[np.bool_]

    @property
    def images(self) -> int:
        return len(self.targets)


def best_predictions(source: Source) -> Predicted | None:
    """The best trial's predictions on test, else on validation; None where neither file can be read."""
    best = source.record.best
    if best is None:
        return None
    return next((found for split in get_args(Split) if (found := read_predicted(source.store, best, split))), None)


def read_predicted(store: Store, trial: TrialRecord, split: Split) -> Predicted | None:
    """What a trial said of a split; None where its file is missing or cannot be read."""
    path = store.test_predictions if split == "test" else store.predictions
    saved = read_predictions(path(trial.id))
    if saved is None or not saved.ids or saved.scored.targets.shape[1] != len(saved.labels):
        return None
    said = saved.scored
    if not np.isfinite(said.probabilities).all():
        return None
    return Predicted(trial, split, saved.ids, saved.labels, said.probabilities, said.targets, said.decisions)
