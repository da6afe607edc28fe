from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tuner.conclusions.contrasts import Cell, level_contrasts

RNG = np.random.default_rng(0)


def block_cells(values: np.ndarray) -> list[Cell]:
    """[groups, levels] -> cells, levels named 0, 1, ..."""
    return [(g, level, float(values[g, level])) for g, level in itertools.product(*map(range, values.shape))]


def test_two_levels_are_the_paired_t_test() -> None:
    values = RNG.normal(size=(9, 2)) + RNG.normal(scale=10, size=(9, 1))
    (found,) = level_contrasts(block_cells(values), [0, 1])
    told = stats.ttest_rel(values[:, 1], values[:, 0])
    assert (found.level, found.against) == (1, 0)
    assert found.difference == pytest.approx(np.mean(values[:, 1] - values[:, 0]))
    assert found.difference / found.error == pytest.approx(told.statistic)
    interval = told.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_complete_groups_are_the_randomised_block_design() -> None:
    groups, levels = 4, 7
    values = RNG.normal(size=(groups, levels)) + RNG.normal(scale=5, size=(groups, 1))
    found = level_contrasts(block_cells(values), range(levels))
    residuals = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    degrees = (groups - 1) * (levels - 1)
    variance = (residuals**2).sum() / degrees
    error = np.sqrt(variance / groups * (1 + 1 / (levels - 1)))
    half = stats.t.ppf(1 - 0.025 / levels, degrees) * error
    assert [contrast.level for contrast in found] == list(range(levels))
    for at, contrast in enumerate(found):
        difference = values[:, at].mean() - np.delete(values, at, axis=1).mean()
        assert contrast.difference == pytest.approx(difference)
        assert contrast.error == pytest.approx(error)
        assert (contrast.low, contrast.high) == pytest.approx((difference - half, difference + half))


def test_a_single_group_is_the_t_test_of_two_samples() -> None:
    one, other = RNG.normal(size=5), RNG.normal(size=8)
    cells: list[Cell] = [((), name, float(value)) for name, values in (("a", one), ("b", other)) for value in values]
    (found,) = level_contrasts(cells, ["a", "b"])
    told = stats.ttest_ind(other, one)
    assert found.difference / found.error == pytest.approx(told.statistic)
    assert (found.low, found.high) == pytest.approx(tuple(told.confidence_interval(0.95)))


def test_groups_that_lack_levels_are_fitted_by_least_squares() -> None:
    values = RNG.normal(size=(6, 4))
    cells = [cell for cell in block_cells(values) if (cell[0] + int(cell[1])) % 3]
    found = level_contrasts(cells, range(4))
    # the same model with a dummy for each group and level
    design = np.array([[*(cell[0] == g for g in range(6)), *(cell[1] == k for k in range(4))] for cell in cells], float)
    observed = np.array([value for _, _, value in cells])
    inverse = np.linalg.pinv(design.T @ design)
    fitted = inverse @ design.T @ observed
    degrees = len(cells) - np.linalg.matrix_rank(design)
    variance = ((observed - design @ fitted) ** 2).sum() / degrees
    for at, contrast in enumerate(found):
        weights = np.r_[np.zeros(6), np.where(np.arange(4) == at, 1, -1 / 3)]
        assert contrast.difference == pytest.approx(weights @ fitted)
        assert contrast.error == pytest.approx(np.sqrt(variance * weights @ inverse @ weights))


def test_levels_that_no_group_links_are_not_held_against_each_other() -> None:
    cells: list[Cell] = []
    for group in range(3):
        cells += [(group, "a", RNG.normal()), (group, "b", RNG.normal())]
        cells += [(group + 3, "c", 100 + RNG.normal()), (group + 3, "d", 100 + RNG.normal())]
    found = {contrast.level: contrast.difference for contrast in level_contrasts(cells, ["a", "b", "c", "d", "e"])}
    assert found.keys() == {"a", "b", "c", "d"}
    assert found["a"] == pytest.approx(-found["b"])
    assert found["c"] == pytest.approx(-found["d"])
    assert max(map(abs, found.values())) < 10
    assert level_contrasts([(0, "a", 1.0), (1, "b", 2.0)], ["a", "b"]) == []


def test_one_pair_has_no_error() -> None:
    (found,) = level_contrasts([(0, "a", 1.0), (0, "b", 3.0)], ["a", "b"])
    assert found.difference == pytest.approx(2)
    assert (found.error, found.low, found.high, found.shown) == (None, None, None, False)


def test_pairs_that_differ_by_the_same_step_are_not_without_error() -> None:
    cells: list[Cell] = [(g, level, 0.8 + 0.025 * (level == "b")) for g in range(2) for level in "ab"]
    (found,) = level_contrasts(cells, ["a", "b"], grain=0.025)
    assert found.error is not None
    assert not found.shown


@given(st.floats(-1e3, 1e3), st.integers(0, 1000))
def test_a_height_common_to_a_group_changes_nothing(height: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 3))
    lifted = values + height * rng.normal(size=(4, 1))
    for one, other in zip(*(level_contrasts(block_cells(v), range(3)) for v in (values, lifted)), strict=True):
        assert (one.difference, one.low, one.high) == pytest.approx((other.difference, other.low, other.high), abs=1e-8)
