from __future__ import annotations

from tuner.ray_backend.halving.ladder import Ladder, best_first, rungs_reached


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
