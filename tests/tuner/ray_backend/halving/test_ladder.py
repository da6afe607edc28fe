from __future__ import annotations

import pytest

from tuner.ray_backend.halving.ladder import Ladder, best_first, rung_levels, rungs_reached


def test_levels_grow_by_the_factor_and_stay_below_the_horizon() -> None:
    assert rung_levels(1, 3, 30) == (1, 3, 9, 27)
    assert rung_levels(1, 3, 27) == (1, 3, 9)
    assert rung_levels(0.5, 2, 4) == (0.5, 1, 2)
    assert rung_levels(1, 3, 1) == ()


@pytest.mark.parametrize(("grace_epochs", "factor"), [(0, 3), (1, 1)])
def test_rungs_that_would_never_end_are_refused(grace_epochs: float, factor: float) -> None:
    with pytest.raises(ValueError, match="grace_epochs > 0"):
        rung_levels(grace_epochs, factor, 30)


def test_a_rung_is_reached_however_its_epochs_were_summed() -> None:
    assert rungs_reached((0.1, 0.1 * 3, 0.9), 0.3) == 2
    assert rungs_reached((1, 3, 9), 2.75) == 1


def test_a_trial_stands_once_at_the_highest_rung_that_it_came_to() -> None:
    ladder = Ladder((1, 3, 9), "minimize")
    ladder.enter("a", "")
    ladder.enter("b", "")
    assert ladder.climb("a", 0.5, 2.0) is None
    assert ladder.climb("a", 4, 2.0) == [("a", -2.0)]
    assert ladder.climb("a", 5, 1.0) is None
    assert ladder.climb("b", 3, 1.0) == [("a", -2.0), ("b", -1.0)]
    assert ladder.strata(1) == {}
    assert [entry.trial for entry in best_first(ladder.strata(2)[""])] == ["b", "a"]
