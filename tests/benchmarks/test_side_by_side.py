"""The arithmetic of tables: turns, ratios, differences, ideal gains, costs of a trial."""

from __future__ import annotations

import math
from itertools import islice

import pytest

from benchmarks.comparing import Measured, in_turns, largest_differences, ratio_rows, require_equal, trial_key
from benchmarks.decode import per_image_ms
from benchmarks.freeze_sweep import ideal_gain
from benchmarks.frozen_heads import AXES, TRIALS, space_of, trial_list
from benchmarks.measuring import Cost
from benchmarks.overhead import WARM_AFTER, per_trial
from search_spaces.document import parse_yaml, write_yaml
from search_spaces.space import read_space


def measured(*cpu: float, outcome: float = 0.5) -> Measured:
    costs = [Cost(wall=2 * seconds, cpu=seconds) for seconds in cpu]
    return Measured(costs, [{"t": [{"loss": outcome}]} for _ in cpu])


def test_contenders_take_turns_both_ways_round() -> None:
    assert in_turns(["a", "b"], 2) == ["a", "b", "b", "a"]
    assert in_turns(["a", "b", "c"], 1) == ["a", "b", "c"]


def test_ratios_are_of_medians() -> None:
    rows = ratio_rows({"ours": measured(1, 3), "peer": measured(8, 12)}, "ours")
    assert rows[1] == ["peer", "20.0", "10.0", "5.00", "5.00"]


def test_the_largest_difference_of_any_run_counts() -> None:
    found = require_equal({"ours": measured(1), "peer": measured(1, 1, outcome=0.6)}, "ours", {"loss": 0.2})
    assert found["peer"]["loss"] == pytest.approx(0.1)


@pytest.mark.parametrize("outcome", [0.8, math.nan])
def test_what_computes_something_else_is_refused(outcome: float) -> None:
    with pytest.raises(SystemExit, match="peer differs from ours in loss"):
        require_equal({"ours": measured(1), "peer": measured(1, outcome=outcome)}, "ours", {"loss": 0.2})


def test_other_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="not the same trials"):
        largest_differences({trial_key({"lr": 1}): []}, {trial_key({"lr": 2}): []})
    with pytest.raises(ValueError, match="2 and 1 epochs"):
        largest_differences({"t": [{"loss": 1.0}] * 2}, {"t": [{"loss": 1.0}]})


def test_the_space_has_the_peers_trials() -> None:
    space = read_space(parse_yaml(write_yaml(space_of(AXES, "none")), "space"))
    grid = [dict(point) for point in islice(space.grid(), TRIALS)]
    assert grid == trial_list(AXES, TRIALS)
    assert space.baseline_params() == grid[0]


def test_the_ideal_gain_shares_all_of_the_prefix_and_none_of_the_rest() -> None:
    free, dear = {"prefix": 0.0, "step": 1.0, "forward": 1.0}, {"prefix": 1.0, "step": 0.0, "forward": 0.0}
    assert ideal_gain({2: free}, [2, 2], 3, 80, 20) == 1
    assert ideal_gain({5: dear}, [5] * 4, 3, 80, 20) == pytest.approx(12)


def test_a_trials_cost_is_counted_once_it_is_warm() -> None:
    trials = WARM_AFTER + 10
    ends = [1000.0 + 2 * (number + 1) for number in range(trials)]
    steady = [(2.0 * number, 1.0 * number) for number in range(1, trials + 1)]
    cost = Cost(wall=2.0 * trials, cpu=1.0 * trials, timeline=steady, began=1000.0)
    assert per_trial(cost, ends) == pytest.approx((2000, 1000))


def test_later_epochs_are_told_from_the_first() -> None:
    run = [{"wall": 4.0, "cpu": 6.0}, {"wall": 1.0, "cpu": 2.0}, {"wall": 1.0, "cpu": 2.0}]
    assert per_image_ms([run], images=1000) == {"first wall": 4, "later wall": 1, "first cpu": 6, "later cpu": 2}
