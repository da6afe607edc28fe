"""Workers beside the first one start once there is enough to do for them."""

from __future__ import annotations

import pytest

from tuner.ray_backend.staffing import LONGEST_WAIT_SECONDS, START_SECONDS, Staffing


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def staffing(clock: Clock) -> Staffing:
    staffing = Staffing(clock)
    assert staffing.more_than(0)
    return staffing


def test_a_search_begins_with_one_worker(staffing: Staffing) -> None:
    assert not staffing.more_than(1)
    assert staffing.more_than(0)


def test_the_others_start_when_the_first_has_worked_as_long_as_they_take_to_start(
    staffing: Staffing, clock: Clock
) -> None:
    clock.now += 5
    staffing.reported()
    clock.now += START_SECONDS - 1
    staffing.reported()
    assert not staffing.more_than(1)
    clock.now += 1
    assert staffing.more_than(1)
    assert staffing.more_than(7)


def test_they_do_not_wait_long_for_a_first_epoch(staffing: Staffing, clock: Clock) -> None:
    clock.now += LONGEST_WAIT_SECONDS - 1
    assert not staffing.more_than(1)
    clock.now += 1
    assert staffing.more_than(1)
