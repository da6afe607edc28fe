"""Decision thresholds of multi-label classifiers: one half, or fitted per label on validation.

Scoring on the images that fitted the thresholds flatters rare labels, so a fitted score is cross-fitted: each fold
of the validation images is decided by thresholds fitted on the others, and groups never straddle folds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FOLDS = 5
FEWEST_POSITIVES = 3
"""A label with fewer positives keeps 0.5: its best threshold would be an accident."""


def fit_thresholds(probabilities: Floats, targets: npt.NDArray[np.int64], beta: float) -> Floats:
    """Each label's threshold of highest F-beta, `[labels]`, from `[images, labels]`; an image at it is positive.

    A threshold lies midway between the two scores that it separates.
    """
    if not len(targets):
        return np.full(targets.shape[1], 0.5)
    order = np.argsort(-probabilities, axis=0, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=0)
    hits = np.cumsum(np.take_along_axis(targets, order, axis=0), axis=0)
    positives = targets.sum(axis=0)
    predicted = np.arange(1, len(targets) + 1)[:, None]
    f_beta = (1 + beta**2) * hits / np.maximum(beta**2 * positives + predicted, 1)
    below = np.vstack([ranked[1:], np.zeros((1, ranked.shape[1]))])
    f_beta[:-1][ranked[1:] == ranked[:-1]] = -1.0  # no threshold parts equal scores
    best = f_beta.argmax(axis=0)
    columns = np.arange(targets.shape[1])
    lowest_in, highest_out = ranked[best, columns], below[best, columns]
    midway = (lowest_in + highest_out) / 2
    fitted = np.where(midway > highest_out, midway, lowest_in)  # neighbouring numbers have none between them
    return np.where(positives >= FEWEST_POSITIVES, fitted, 0.5)


def validation_folds(targets: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """The fold of each image, `[images]` in 0..FOLDS-1: stratified over labels, groups whole."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    names, members = np.unique(groups, return_inverse=True)
    folds = min(FOLDS, len(names))
    united = np.zeros((len(names), targets.shape[1]), dtype=np.int64)
    np.maximum.at(united, members, targets)
    assigned = np.zeros(len(names), dtype=np.int64)
    if folds > 1:
        if united.shape[1] == 1:  # the splitter wants two labels or more
            united = np.hstack([united, 1 - united])
        splitter = MultilabelStratifiedKFold(n_splits=folds, shuffle=True, random_state=seed % 2**32)
        for fold, (_, held_out) in enumerate(splitter.split(united, united)):
            assigned[held_out] = fold
    of_images: npt.NDArray[np.int64] = assigned[members]
    return of_images


def cross_fitted_decisions(
    probabilities: Floats, targets: npt.NDArray[np.int64], folds: npt.NDArray[np.int64], beta: float
) -> npt.NDArray[np.int64]:
    """Decisions `[images, labels]` where no image had a part in the thresholds that decide it."""
    decisions = np.zeros_like(targets)
    for fold in np.unique(folds):
        held_out = folds == fold
        thresholds = fit_thresholds(probabilities[~held_out], targets[~held_out], beta)
        decisions[held_out] = probabilities[held_out] >= thresholds
    return decisions
