"""What a search's best trials say of images that they were not trained on, together."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainable.data.splits import read_splits
from tuner.evidence.predictions import SavedPredictions, read_predictions
from tuner.records import SearchRecord, TrialRecord
from tuner.store import Store

MOST_TRIALS = 5
"""the best ones, whose mean is less often wrong than one of them"""


@dataclass(frozen=True)
class HeldOut:
    """Means over trials; arrays are `[images, labels]`."""

    trials: tuple[str, ...]
    folds: int
    """of cross-validation, which together are all images of train and val; 0: validation images alone"""
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.float64]
    targets: npt.NDArray[np.bool_]


def held_out(store: Store, record: SearchRecord) -> HeldOut | None:
    """From the folds of those trials that have all of them, else from validation; None where there is neither.

    Test is left out: it is kept for the end, and labels corrected there by a model's word would flatter the model.
    """
    best = [trial for trial in record.ranked() if trial.eligible]
    in_folds = (
        {row.image for row in read_splits(store.splits) if row.split != "test"} if store.splits.exists() else set()
    )
    whole = {trial.id: parts for trial in best if (parts := _of_folds(store, record, trial, in_folds))}
    if whole:
        return _mean(whole, folds=max(map(len, whole.values())))
    on_val = ((trial.id, read_predictions(store.predictions(trial.id))) for trial in best[:MOST_TRIALS])
    return _mean({trial: [saved] for trial, saved in on_val if saved}, folds=0)


def _of_folds(store: Store, record: SearchRecord, trial: TrialRecord, images: Set[str]) -> list[SavedPredictions]:
    """The predictions of every fold's model on that fold; none where the folds are not all there."""
    runs = record.reruns_of(trial.id, "fold")
    found = [saved for run in runs if (saved := read_predictions(store.predictions(run.id)))]
    told = [image for saved in found for image in saved.ids]
    return found if found and len(told) == len(images) and images == set(told) else []


def _mean(of_trials: dict[str, list[SavedPredictions]], folds: int) -> HeldOut | None:
    """Over the trials of the same images as the first, whatever their order."""
    kept: dict[str, npt.NDArray[np.float64]] = {}
    ids: tuple[str, ...] = ()
    for trial, parts in of_trials.items():
        own_ids, probabilities, targets = _joined(parts)
        if not kept:
            ids, labels, first_targets = own_ids, parts[0].labels, targets
        order = _order(own_ids, ids)
        if order is not None and np.isfinite(probabilities).all():
            kept[trial] = probabilities[order]
    if not kept:
        return None
    return HeldOut(tuple(kept), folds, ids, labels, np.mean(list(kept.values()), axis=0), first_targets)


def _joined(
    parts: Sequence[SavedPredictions],
) -> tuple[tuple[str, ...], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    ids = tuple(image for part in parts for image in part.ids)
    probabilities = np.concatenate([part.scored.probabilities for part in parts]).astype(np.float64)
    return ids, probabilities, np.concatenate([part.scored.targets for part in parts]).astype(bool)


def _order(ids: tuple[str, ...], wanted: tuple[str, ...]) -> list[int] | None:
    place = {image: row for row, image in enumerate(ids)}
    return [place[image] for image in wanted] if place.keys() == set(wanted) else None
