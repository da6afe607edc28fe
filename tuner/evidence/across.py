"""A paired difference between trials of two searches that were scored on the same images."""

from __future__ import annotations

import numpy as np

from tuner.evidence.bootstrap import FEWEST_GROUPS, SplitImages, read_split, resample
from tuner.evidence.gathering import Difference, Split, difference_of
from tuner.evidence.predictions import read_predictions
from tuner.evidence.weighted import Scored, known
from tuner.store import Store

Trial = tuple[Store, str]
"""a search and one of its trials"""


def difference_across(one: Trial, other: Trial, split: Split, metric: str) -> Difference | None:
    """One trial minus another by paired bootstrap over the split of the first one's search, groups drawn whole.

    None where either has no predictions of exactly these images, they disagree on what is true of them, there are too
    few of them, or the metric is not one of Thaw's own.
    """
    images = read_split(one[0], split)
    if images.group_count < FEWEST_GROUPS or not known(metric):
        return None
    mine, its = _predicted(*one, split, images), _predicted(*other, split, images)
    if mine is None or its is None or not np.array_equal(mine.targets, its.targets):
        return None
    return difference_of(resample(mine, metric, images), resample(its, metric, images), len(images.ids))


def _predicted(store: Store, trial: str, split: Split, images: SplitImages) -> Scored | None:
    path = store.predictions(trial) if split == "val" else store.test_predictions(trial)
    saved = read_predictions(store.fetch(path))
    return saved.of(images.ids) if saved else None
