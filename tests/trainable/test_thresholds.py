from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainable.thresholds import FEWEST_POSITIVES, FOLDS, cross_fitted_decisions, fit_thresholds, validation_folds


def f_beta(decisions: np.ndarray, targets: np.ndarray, beta: float) -> float:
    hits = (decisions & (targets == 1)).sum()
    wrong, missed = (decisions & (targets == 0)).sum(), (~decisions & (targets == 1)).sum()
    return (1 + beta**2) * hits / ((1 + beta**2) * hits + beta**2 * missed + wrong)


probabilities_of_a_label = st.lists(
    st.one_of(
        st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
        st.floats(0, 1),
        st.floats(0, 1, width=32),
        st.sampled_from([0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1), 5e-324]),
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=300)
@given(probabilities_of_a_label, st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0]))
def test_a_fitted_threshold_has_the_highest_f_beta_of_all(scores: list[float], seed: int, beta: float) -> None:
    probabilities = np.array(scores)[:, None]
    targets = np.random.default_rng(seed).integers(0, 2, probabilities.shape)
    threshold = fit_thresholds(probabilities, targets, beta)
    assert threshold.shape == (1,)
    if targets.sum() < FEWEST_POSITIVES:
        assert threshold[0] == 0.5
        return
    assert 0 <= threshold[0] <= 1
    reached = f_beta(probabilities >= threshold, targets, beta)
    best = max(f_beta(probabilities >= cut, targets, beta) for cut in np.unique(probabilities))
    assert reached == pytest.approx(best, abs=1e-12)


def test_a_threshold_is_midway_between_the_scores_that_it_parts() -> None:
    probabilities = np.array([[0.9], [0.8], [0.6], [0.2], [0.1]])
    targets = np.array([[1], [1], [1], [0], [0]])
    assert fit_thresholds(probabilities, targets, 1.0) == pytest.approx([0.4])


def test_each_label_has_its_own() -> None:
    rng = np.random.default_rng(0)
    probabilities, targets = rng.random((50, 6)), rng.integers(0, 2, (50, 6))
    together = fit_thresholds(probabilities, targets, 2.0)
    for label in range(6):
        alone = fit_thresholds(probabilities[:, [label]], targets[:, [label]], 2.0)
        assert together[label] == alone[0]


def test_the_order_of_images_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    probabilities, targets = rng.integers(0, 5, (40, 3)) / 4, rng.integers(0, 2, (40, 3))
    order = rng.permutation(40)
    expected = fit_thresholds(probabilities, targets, 1.0)
    assert np.array_equal(fit_thresholds(probabilities[order], targets[order], 1.0), expected)


def test_no_images_and_rare_labels_keep_one_half() -> None:
    assert fit_thresholds(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64), 1.0).tolist() == [0.5] * 3
    targets = np.zeros((10, 2), dtype=np.int64)
    targets[: FEWEST_POSITIVES - 1, 0] = 1
    targets[:FEWEST_POSITIVES, 1] = 1
    found = fit_thresholds(np.linspace(0.3, 0.01, 10)[:, None].repeat(2, 1), targets, 1.0)
    assert found[0] == 0.5
    assert found[1] < 0.3


@st.composite
def grouped(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    images, labels = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    targets = (rng.random((images, labels)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))).astype(np.int64)
    return targets, rng.integers(0, draw(st.integers(1, images)), images), draw(st.integers(-(2**40), 2**40))


@settings(deadline=None, max_examples=150)
@given(grouped())
def test_folds_keep_groups_whole(given_data: tuple[np.ndarray, np.ndarray, int]) -> None:
    targets, groups, seed = given_data
    folds = validation_folds(targets, groups, seed)
    assert folds.shape == groups.shape
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    assert set(folds.tolist()) <= set(range(min(FOLDS, len(np.unique(groups)))))
    assert np.array_equal(folds, validation_folds(targets, groups, seed))


def test_folds_are_stratified_and_keyed_by_the_seed() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < [0.5, 0.2, 0.05]).astype(np.int64)
    folds = validation_folds(targets, np.arange(200), 1)
    assert np.bincount(folds).tolist() == pytest.approx([40] * FOLDS, abs=2)
    for label in range(3):
        share = targets[:, label].sum() / FOLDS
        counts = [targets[folds == fold, label].sum() for fold in range(FOLDS)]
        assert counts == pytest.approx([share] * FOLDS, abs=2)
    assert not np.array_equal(folds, validation_folds(targets, np.arange(200), 2))


@settings(deadline=None, max_examples=60)
@given(grouped(), st.integers(0, 2**32 - 1))
def test_cross_fitted_decisions_never_see_their_own_fold(
    given_data: tuple[np.ndarray, np.ndarray, int], seed: int
) -> None:
    """However a fold's own targets are changed, its decisions stay."""
    targets, groups, data_seed = given_data
    rng = np.random.default_rng(seed)
    probabilities = rng.random(targets.shape)
    folds = validation_folds(targets, groups, data_seed)
    decisions = cross_fitted_decisions(probabilities, targets, folds, 2.0)
    assert set(np.unique(decisions)) <= {0, 1}
    for fold in np.unique(folds):
        own = folds == fold
        other = targets.copy()
        other[own] = 1 - other[own]
        assert np.array_equal(cross_fitted_decisions(probabilities, other, folds, 2.0)[own], decisions[own])
        fitted_elsewhere = fit_thresholds(probabilities[~own], targets[~own], 2.0)
        assert np.array_equal(decisions[own], (probabilities[own] >= fitted_elsewhere).astype(int))


def test_a_fitted_score_is_flattered_unless_it_is_cross_fitted() -> None:
    """On noise every label's own threshold beats chance on the images that fitted it, not on others."""
    rng = np.random.default_rng(0)
    targets = (rng.random((120, 30)) < 0.1).astype(np.int64)
    probabilities = rng.random(targets.shape)
    folds = validation_folds(targets, np.arange(120), 0)
    own = probabilities >= fit_thresholds(probabilities, targets, 1.0)
    crossed = cross_fitted_decisions(probabilities, targets, folds, 1.0).astype(bool)

    def mean(decisions: np.ndarray) -> float:
        return float(np.mean([f_beta(decisions[:, k], targets[:, k], 1.0) for k in range(30)]))

    assert mean(own) > mean(crossed) + 0.05
