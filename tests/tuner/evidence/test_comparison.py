from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.evidence.bootstrap import draw_weights
from tuner.evidence.comparison import Chance, SeedVariance, better_in_family, better_rows, seed_variance, stands_alone
from tuner.evidence.weighted import Floats

IMAGES, RESAMPLES = 200, 400
WEIGHTS = draw_weights(np.arange(IMAGES), RESAMPLES) / IMAGES


def simulated(rng: np.random.Generator, skills: Sequence[float], seed_sd: float = 0.0) -> tuple[Floats, Floats]:
    """Values [rows] and draws [rows, resamples] of a score of images that are easy or hard for all rows alike."""
    difficulty = rng.standard_normal(IMAGES)
    skill = np.array(skills) + seed_sd * rng.standard_normal(len(skills))
    of_images = skill[:, None] + difficulty + rng.standard_normal((len(skills), IMAGES))
    return of_images.mean(axis=1), of_images @ WEIGHTS


def ranked(
    values: Floats, draws: Floats, runs: Sequence[int] | None = None, seeds: SeedVariance | None = None
) -> list[int]:
    chance = Chance.of(draws, np.array(runs or [1] * len(values)), seeds)
    return [1 + int(count) for count in better_rows(values, chance).sum(axis=1)]


def sole_winners(skills: Sequence[float], searches: int, seed: int) -> float:
    """The share of searches in which all but one row have one that is better."""
    rng = np.random.default_rng(seed)
    return sum(ranked(*simulated(rng, skills)).count(1) == 1 for _ in range(searches)) / searches


PAIRED_ERROR = (2 / IMAGES) ** 0.5


def test_equal_configs_rarely_have_a_sole_winner() -> None:
    assert sole_winners([0.0] * 20, 60, seed=0) <= 0.05


def test_of_two_equal_bests_one_is_rarely_the_sole_winner() -> None:
    """The worst case: a search of many rows, of which two matter."""
    assert sole_winners([1.0, 1.0, *[0.0] * 8], 200, seed=1) <= 0.1


def test_a_config_that_is_better_by_four_standard_errors_is_found() -> None:
    assert sole_winners([4 * PAIRED_ERROR, *[0.0] * 19], 60, seed=2) >= 0.7


def test_the_step_down_alone_would_miss_most_of_these() -> None:
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(60):
        values, draws = simulated(rng, [4 * PAIRED_ERROR, *[0.0] * 19])
        better = better_in_family(values, Chance.of(draws, np.ones(20, dtype=int), None))
        found += bool(better[1:].any(axis=1).all())
    assert found < 60 * 0.6


def test_clear_steps_are_ranked_one_by_one() -> None:
    assert ranked(*simulated(np.random.default_rng(3), [0.0, 3.0, 1.0, 2.0])) == [4, 1, 3, 2]


def test_a_rank_is_one_more_than_the_rows_that_are_better() -> None:
    values, draws = simulated(np.random.default_rng(4), [0.0, 0.0, 0.0, 5.0, 5.0])
    assert ranked(values, draws) == [3, 3, 3, 1, 1]


def test_one_row_and_equal_rows_have_rank_one() -> None:
    values, draws = simulated(np.random.default_rng(5), [0.0])
    assert ranked(values, draws) == [1]
    assert not stands_alone(values, Chance.of(draws, np.array([1]), None))
    assert ranked(np.repeat(values, 3), np.repeat(draws, 3, axis=0)) == [1, 1, 1]


def test_rows_that_differ_alike_on_every_resample_are_told_apart() -> None:
    values, draws = simulated(np.random.default_rng(6), [0.0])
    assert ranked(np.append(values, values + 0.5), np.vstack([draws, draws + 0.5])) == [2, 1]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.floats(0, 0.5))
def test_the_first_row_has_rank_one_and_nothing_is_better_both_ways(seed: int, rows: int, steps: float) -> None:
    rng = np.random.default_rng(seed)
    values, draws = simulated(rng, (steps * rng.standard_normal(rows)).tolist())
    better = better_rows(values, Chance.of(draws, np.ones(rows, dtype=int), None))
    assert not better[values.argmax()].any()
    assert not (better & better.T).any()
    assert all(values[better_row] > values[row] for row, better_row in np.argwhere(better))


def test_the_seed_s_own_share_is_what_the_images_do_not_explain() -> None:
    rng = np.random.default_rng(7)
    configs = [simulated(rng, [0.0] * 5, seed_sd=0.3) for _ in range(40)]
    found = seed_variance(configs)
    assert found
    assert found.freedom == 160
    assert found.of_images == pytest.approx(1 / IMAGES, rel=0.1)
    assert float(found.beyond_images(found.pooled)) == pytest.approx(0.09, rel=0.25)


def test_seeds_that_err_on_other_images_only_add_nothing_twice() -> None:
    rng = np.random.default_rng(8)
    found = seed_variance([simulated(rng, [0.0] * 5) for _ in range(40)])
    assert found
    assert float(found.beyond_images(found.pooled)) < 0.3 / IMAGES


def test_without_a_config_of_two_runs_seeds_are_not_known() -> None:
    assert seed_variance([simulated(np.random.default_rng(9), [0.0])]) is None


def test_the_luck_of_the_seed_keeps_rows_together_and_repeats_part_them_again() -> None:
    values, draws = simulated(np.random.default_rng(10), [0.0, 1.0])
    seeds = SeedVariance(pooled=0.25, of_images=1 / IMAGES, freedom=30)
    assert ranked(values, draws) == [2, 1]
    assert ranked(values, draws, seeds=seeds) == [1, 1]
    assert ranked(values, draws, [20, 20], seeds) == [2, 1]


def test_a_variance_from_two_runs_is_trusted_less_than_one_from_many() -> None:
    values, draws = simulated(np.random.default_rng(11), [0.0, 1.0])
    few, many = (SeedVariance(pooled=0.04, of_images=1 / IMAGES, freedom=freedom) for freedom in (1, 60))
    assert ranked(values, draws, seeds=many) == [2, 1]
    assert ranked(values, draws, seeds=few) == [1, 1]
