from __future__ import annotations

import math
from collections.abc import Collection
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.schedulers import rung_levels
from tuner.ray_backend.halving.ladder import Ladder
from tuner.ray_backend.halving.protocol import Halving, NoHalving
from tuner.ray_backend.halving.stopping import StoppingAsha

VALUES = st.floats(-1e6, 1e6)
REPORTS = st.lists(st.tuples(st.integers(0, 7), VALUES), max_size=60)
"""(trial, value) in the order of arrival; a trial's n-th report is its n-th epoch"""


class Table:
    """A StoppingAsha in which a trial starts with its first report."""

    def __init__(self, halving: Halving) -> None:
        self.levels = halving.levels
        self.ended = halving.ended
        self._halving = halving

    def report(self, trial: str, epoch: float, best: float | None, stratum: str = "") -> bool:
        """Whether it is to be stopped."""
        self._halving.started(trial, stratum)
        return self._halving.report(trial, epoch, best) == "stop"


def rungs(
    grace_epochs: float = 1,
    reduction_factor: float = 3,
    max_epochs: float = 30,
    direction: Literal["maximize", "minimize"] = "maximize",
    exempt: Collection[str] = (),
) -> Table:
    ladder = Ladder(rung_levels(grace_epochs, reduction_factor, max_epochs), direction)
    return Table(StoppingAsha(ladder, reduction_factor, exempt))


def run(table: Table, reports: list[tuple[int, float]], sign: float = 1.0) -> list[tuple[str, int, float, bool]]:
    """Feed reports, best-so-far kept per trial; a trial that was stopped reports no more."""
    epochs: dict[int, int] = {}
    bests: dict[int, float] = {}
    stopped = set()
    decisions = []
    for trial, value in reports:
        if trial in stopped:
            continue
        epochs[trial] = epochs.get(trial, 0) + 1
        bests[trial] = max(bests.get(trial, -math.inf), value)
        stop = table.report(f"t{trial}", epochs[trial], sign * bests[trial])
        if stop:
            stopped.add(trial)
        decisions.append((f"t{trial}", epochs[trial], bests[trial], stop))
    return decisions


@pytest.mark.parametrize(
    ("grace_epochs", "evaluations", "decides_at"),
    [
        (0.25, 4, [0.25, 0.75, 3, 7]),  # 2.25 and 6.75 come after 2 and 6
        (0.5, 2, [0.5, 2, 5]),
        (0.1, 10, [0.1, 0.3, 0.9, 3, 9]),  # three times 0.1 is more than 0.3
        (0.05, 20, [0.05, 0.15, 0.45, 2, 5]),
        (1, 4, [1, 3, 9]),
    ],
)
def test_rungs_within_an_epoch_decide_at_the_first_evaluation_from_there(
    grace_epochs: float, evaluations: int, decides_at: list[float]
) -> None:
    table = rungs(grace_epochs=grace_epochs, max_epochs=10)
    at = [part / evaluations for part in range(1, evaluations)] + list(range(1, 11))
    for number, epoch in enumerate(at):  # nobody goes on from one to the next: each is judged where it comes first
        assert not table.report(f"best{number}", epoch, 1.0)
    decided = [epoch for epoch, before in zip(at, [0, *at], strict=False) if _decided(table, before, epoch)]
    assert decided == decides_at


def _decided(table: Table, before: float, epoch: float) -> bool:
    """Whether a trial that was evaluated before is judged anew, and so stopped for being the worst."""
    trial = f"worst{epoch}"
    if before and table.report(trial, before, 1.0):
        return False
    return table.report(trial, epoch, 0.0)


def test_a_lone_first_value_goes_on_and_a_worse_second_one_stops() -> None:
    table = rungs()
    assert not table.report("t1", 1, 0.5)
    assert table.report("t2", 1, 0.4)
    assert not table.report("t3", 1, 0.6)


def test_the_cutoff_is_the_quantile_of_those_before() -> None:
    table = rungs(reduction_factor=2)
    for number, value in enumerate([0.0, 10.0]):
        table.report(f"t{number}", 1, value)
    assert table.report("t8", 1, 4.9)  # the median of 0 and 10 is 5
    table = rungs(reduction_factor=2)
    for number, value in enumerate([0.0, 10.0]):
        table.report(f"t{number}", 1, value)
    assert not table.report("t8", 1, 5.0)


def test_between_rungs_nothing_is_decided() -> None:
    table = rungs()
    table.report("t1", 1, 0.9)
    table.report("t1", 3, 0.9)
    assert not table.report("t2", 0.5, 0.0)
    assert not table.report("t3", 1, 0.95)
    assert not table.report("t3", 2, 0.0)
    assert table.report("t3", 3, 0.0)


def test_a_trial_that_skips_rungs_is_judged_at_the_highest_only() -> None:
    table = rungs()
    table.report("t1", 1, 0.9)
    assert not table.report("t2", 4, 0.1)  # the first at the rung of 3 epochs
    assert table.report("t3", 3, 0.05)
    assert table.report("t4", 1, 0.85)  # the rung of 1 epoch has not heard of t2


def test_an_early_stopped_best_is_carried_into_later_rungs() -> None:
    def third_rung(early_stopped: bool) -> bool:
        table = rungs()
        table.report("t1", 1, 0.8)
        table.ended("t1", 0.9, early_stopped)
        table.report("t2", 1, 0.85)
        return table.report("t2", 3, 0.87)

    assert third_rung(early_stopped=True)
    assert not third_rung(early_stopped=False)


def test_the_end_of_an_unknown_or_failed_trial_changes_nothing() -> None:
    table = rungs()
    table.ended("t1", 0.9, early_stopped=True)
    table.report("t2", 1, math.nan)
    table.ended("t2", math.nan, early_stopped=True)
    table.ended("t2", None, early_stopped=True)
    assert not table.report("t3", 1, 0.1)


def test_the_baseline_is_recorded_and_never_stopped() -> None:
    table = rungs(exempt=["t0001"])
    table.report("t2", 1, 0.9)
    assert not table.report("t0001", 1, 0.1)
    alone = rungs(exempt=["t0001"])
    alone.report("t0001", 1, 0.5)
    assert alone.report("t2", 1, 0.4)


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf, None])
def test_what_is_not_finite_never_enters(nothing: float | None) -> None:
    table = rungs()
    assert not table.report("t1", 1, nothing)
    assert not table.report("t2", 1, 0.1)
    assert table.report("t1", 2, 0.05)  # its first finite best is judged at the rung that it missed


def test_strata_are_compared_within_themselves() -> None:
    table = rungs()
    table.report("t1", 1, 0.9, "constant")
    assert not table.report("t2", 1, 0.3, "cosine")
    assert table.report("t3", 1, 0.2, "cosine")
    assert not table.report("t2", 3, 0.4, "cosine")
    table.ended("t1", 0.9, early_stopped=True)
    assert table.report("t4", 3, 0.8, "constant")


@given(REPORTS)
def test_the_best_at_a_rung_is_never_stopped_there(reports: list[tuple[int, float]]) -> None:
    table = rungs(reduction_factor=2, max_epochs=16)
    seen: dict[int, float] = {}
    for _, epoch, best, stop in run(table, reports):
        if epoch in table.levels:
            assert not (stop and best >= seen.get(epoch, -math.inf))
            seen[epoch] = max(best, seen.get(epoch, -math.inf))
        else:
            assert not stop


@given(REPORTS)
def test_minimising_equals_maximising_the_negated(reports: list[tuple[int, float]]) -> None:
    up = run(rungs(), reports)
    down = run(rungs(direction="minimize"), reports, sign=-1.0)
    assert up == down


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40), st.none() | st.floats(width=32)), max_size=60))
def test_a_trial_is_stopped_at_most_once_and_replay_agrees(reports: list[tuple[int, int, float | None]]) -> None:
    table, again = rungs(), rungs()
    decisions = [table.report(f"t{trial}", epoch, value) for trial, epoch, value in reports]
    stops = [f"t{trial}" for (trial, _, _), stop in zip(reports, decisions, strict=True) if stop]
    assert len(stops) == len(set(stops))
    assert [again.report(f"t{trial}", epoch, value) for trial, epoch, value in reports] == decisions


@given(REPORTS)
def test_no_halving_stops_nothing(reports: list[tuple[int, float]]) -> None:
    table = NoHalving()
    assert not any(stop for *_, stop in run(Table(table), reports))
    table.ended("t1", 0.5, early_stopped=True)
    assert (table.levels, table.paused, table.promotable(all_started=True)) == ((), [], None)


def test_about_one_in_three_goes_on() -> None:
    order = np.random.default_rng(0).permutation(300)
    table = rungs()
    going_on = [not table.report(f"t{number}", 1, float(value)) for number, value in enumerate(order)]
    assert 80 <= sum(going_on) <= 130
