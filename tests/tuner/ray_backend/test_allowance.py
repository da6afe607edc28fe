"""Hours and GPU hours on a clock that is set by hand."""

from __future__ import annotations

from tuner.ray_backend.allowance import Allowance
from tuner.spending import Spent

HOUR = 3600.0


def test_without_limits_nothing_is_used_up() -> None:
    now = 0.0
    allowance = Allowance(clock=lambda: now)
    allowance.begin("t0001")
    now = 1000 * HOUR
    assert allowance.used_up == ""


def test_hours_count_from_the_beginning_whatever_runs() -> None:
    now = 5 * HOUR
    allowance = Allowance(hours=1.5, clock=lambda: now)
    now = 6.4 * HOUR
    assert allowance.used_up == ""
    now = 6.5 * HOUR
    assert allowance.used_up == "1.5 hours are over; more: `tuner resume --hours`"


def test_what_earlier_runs_took_counts() -> None:
    now = 5 * HOUR
    spent = Spent(hours=1, gpu_hours=2)
    of_wall_clock, of_gpus = (
        Allowance(hours=1.5, clock=lambda: now, spent=spent),
        Allowance(gpu_hours=2.5, gpus_of=lambda _: 1, clock=lambda: now, spent=spent),
    )
    of_gpus.begin("t0001")
    assert not of_wall_clock.used_up
    assert not of_gpus.used_up
    now = 5.5 * HOUR
    assert of_wall_clock.used_up
    assert of_gpus.used_up


def test_gpu_hours_are_those_of_all_trials_times_their_gpus() -> None:
    now = 0.0
    allowance = Allowance(gpu_hours=3, gpus_of=lambda _: 0.5, clock=lambda: now)
    allowance.begin("t0001")
    now = 1 * HOUR
    allowance.begin("t0002")
    now = 2 * HOUR
    allowance.end("t0001")
    assert allowance.gpu_hours_used == 0.5 * (2 + 1)
    now = 4 * HOUR  # an hour in which t0002 runs counts, one in which nothing does would not
    assert allowance.gpu_hours_used == 0.5 * (2 + 3)
    assert allowance.used_up == ""
    now = 5 * HOUR
    assert allowance.used_up == "3 GPU hours are used; more: `tuner resume --gpu-hours`"


def test_a_pause_uses_no_gpu() -> None:
    now = 0.0
    allowance = Allowance(gpu_hours=2, gpus_of=lambda _: 1, clock=lambda: now)
    allowance.begin("t0001")
    now = 1 * HOUR
    allowance.end("t0001")
    now = 9 * HOUR
    allowance.begin("t0001")
    assert allowance.used_up == ""
    now = 10 * HOUR
    assert allowance.used_up


def test_each_trial_counts_for_its_own_share() -> None:
    now = 0.0
    shares = {"t0001": 1.0, "t0002": 0.25}
    allowance = Allowance(gpu_hours=2, gpus_of=shares.__getitem__, clock=lambda: now)
    allowance.begin("t0001")
    allowance.begin("t0002")
    now = 1 * HOUR
    assert allowance.gpu_hours_used == 1.25


def test_people_are_told_when_a_tenth_is_left() -> None:
    now = 0.0
    of_wall_clock = Allowance(hours=2, clock=lambda: now)
    of_gpus = Allowance(gpu_hours=4, gpus_of=lambda _: 2, clock=lambda: now)
    of_gpus.begin("t0001")
    now = 1.7 * HOUR
    assert (of_wall_clock.nearly_used_up, of_gpus.nearly_used_up) == ("", "")
    now = 1.82 * HOUR
    assert of_wall_clock.nearly_used_up == "91% of 2 hours are over"
    assert of_gpus.nearly_used_up == "91% of 4 GPU hours are used"
    assert Allowance(clock=lambda: now).nearly_used_up == ""
