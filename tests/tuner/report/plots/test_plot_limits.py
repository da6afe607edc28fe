from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tuner.report.plots.limits import count_outside, value_limits

numbers = st.none() | st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf])


def test_all_values_are_shown_with_a_margin() -> None:
    assert value_limits([0.0, 1.0, None, math.nan]) == (-0.05, 1.05)


def test_one_diverged_value_is_left_outside() -> None:
    values = [0.1 * at for at in range(10)] + [1e9]
    limits = value_limits(values)
    assert limits[1] < 1
    assert count_outside(values, limits) == 1


def test_a_mere_laggard_is_shown() -> None:
    values = [0.80, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.70]
    assert count_outside(values, value_limits(values)) == 0


def test_what_must_be_seen_is() -> None:
    assert value_limits([0.1 * at for at in range(10)], kept=[50.0, None])[1] > 50


def test_nothing_to_show_still_gives_a_frame() -> None:
    assert value_limits([None, math.nan]) == (0.0, 1.0)


@given(st.lists(numbers, max_size=20), st.lists(numbers, max_size=3))
def test_limits_always_have_room_between_and_hold_what_is_kept(values: list[float | None], kept: list[float]) -> None:
    low, high = value_limits(values, kept)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high
    assert count_outside(kept, (low, high)) == 0
