from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import BASELINE, Simulated, simulate

from search_spaces.schedulers import PausingAsha
from tuner.ray_backend.halving.choosing import make_halving
from tuner.ray_backend.halving.protocol import Halving, Promotion

SCORES = st.lists(st.integers(0, 20), min_size=1, max_size=40)
"""one a trial, ties among them; the first is the baseline's"""
BREAKDOWNS = st.sets(st.tuples(st.integers(1, 40), st.integers(1, 9)), max_size=5)
"""(trial, epoch) at which it is lost"""
SHAPES = st.fixed_dictionaries(
    {
        "grace_epochs": st.sampled_from([0.25, 1, 2]),
        "reduction_factor": st.integers(2, 4),
        "eager": st.booleans(),
    }
)


def pausing(epochs: float = 9, **fields: Any) -> Halving:
    return make_halving(PausingAsha(**fields), epochs, "maximize", exempt=[BASELINE])


def constant(score: float) -> Callable[[float], float]:
    return lambda epoch: score  # noqa: ARG005


def search(
    scores: list[int], halving: Halving, workers: int = 1, lost: set[tuple[int, int]] | None = None
) -> Simulated:
    lost = lost or set()
    return simulate(
        halving,
        [constant(score) for score in scores],
        epochs=9,
        workers=workers,
        evaluations=[0.25, 0.5, 0.75],
        fails=lambda trial, epoch: (int(trial[1:]), epoch) in lost,
    )


def paused_at_first(scores: dict[str, float], **fields: Any) -> Halving:
    """Trials that have come to the first rung, in this order."""
    halving = pausing(**fields)
    for trial, score in scores.items():
        halving.started(trial)
        assert halving.report(trial, 1, score) == "pause"
        halving.ended(trial, score, early_stopped=False)
    return halving


def test_every_trial_pauses_at_every_rung_but_the_baseline() -> None:
    halving = pausing()
    for trial, decision in (("t0001", "go_on"), ("t0002", "pause")):
        halving.started(trial)
        assert halving.report(trial, 0.5, 0.9) == "go_on"
        assert halving.report(trial, 1, 0.9) == decision
    assert halving.levels == (1, 3)
    halving.ended("t0002", 0.9, early_stopped=False)
    halving.promote("t0002")
    assert halving.report("t0002", 2, 0.9) == "go_on"
    assert halving.report("t0002", 3, 0.9) == "pause"
    assert halving.report("t0001", 3, 0.1) == "go_on"


def test_the_best_third_is_promoted_best_first() -> None:
    halving = paused_at_first({"t2": 0.3, "t3": 0.8, "t4": 0.5, "t5": 0.9, "t6": 0.1, "t7": 0.2, "t8": 0.7, "t9": 0.4})
    promoted = []
    while (found := halving.promotable(all_started=True)) is not None:
        promoted.append(found)
        halving.promote(found.trial)
    assert promoted == [Promotion("t5", 2), Promotion("t3", 2)]  # of 8, whole thirds
    assert halving.paused == ["t8", "t4", "t9", "t2", "t7", "t6"]


def test_nobody_is_promoted_before_all_have_started_unless_eager() -> None:
    scores = {"t2": 0.3, "t3": 0.8, "t4": 0.5}
    assert paused_at_first(scores).promotable(all_started=False) is None
    assert paused_at_first(scores, eager=True).promotable(all_started=False) == Promotion("t3", 2)
    assert paused_at_first({"t2": 0.3, "t3": 0.8}, eager=True).promotable(all_started=False) is None


@pytest.mark.parametrize(
    ("eager", "first"), [(False, Promotion("t20", 2)), (True, Promotion("t6", 3))], ids=["lowest first", "eager"]
)
def test_the_lowest_rung_comes_first_unless_eager(eager: bool, first: Promotion) -> None:
    halving = paused_at_first({f"t{number}": number / 10 for number in range(9)}, eager=eager)
    for trial in ("t8", "t7"):
        halving.promote(trial)
        assert halving.report(trial, 3, 0.9) == "pause"
        halving.ended(trial, 0.9, early_stopped=False)
    assert halving.promotable(all_started=True) == Promotion("t6", 2)  # of two at rung 2 no third is whole
    halving.promote("t6")
    halving.report("t6", 3, 0.95)
    halving.ended("t6", 0.95, early_stopped=False)
    for number in range(20, 23):
        halving.started(f"t{number}")
        halving.report(f"t{number}", 1, 0.99)
        halving.ended(f"t{number}", 0.99, early_stopped=False)
    assert halving.promotable(all_started=True) == first  # to rung 2, or t6 to the last epoch


def test_a_trial_that_was_told_to_pause_is_promotable_once_it_has() -> None:
    halving = paused_at_first({"t2": 0.3, "t3": 0.2}, eager=True)
    halving.started("t4")
    assert halving.report("t4", 1, 0.9) == "pause"
    assert halving.promotable(all_started=True) is None
    halving.ended("t4", 0.9, early_stopped=False)
    assert halving.promotable(all_started=True) == Promotion("t4", 2)


def test_an_early_stopped_best_holds_its_place_at_later_rungs() -> None:
    halving = paused_at_first({f"t{number}": number / 10 for number in range(9)})
    for trial in ("t8", "t7", "t6"):
        halving.promote(trial)
    halving.ended("t8", 0.99, early_stopped=True)
    for trial in ("t7", "t6"):
        halving.report(trial, 3, 0.9)
        halving.ended(trial, 0.9, early_stopped=False)
    assert halving.promotable(all_started=True) is None  # one in three is t8, which ended by itself


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_what_is_not_finite_neither_pauses_nor_is_promoted(nothing: float | None) -> None:
    halving = paused_at_first({"t2": 0.3, "t3": 0.2})
    halving.started("t4")
    assert halving.report("t4", 1, nothing) == "go_on"
    halving.ended("t4", nothing, early_stopped=False)
    assert halving.promotable(all_started=True) == Promotion("t2", 2)
    assert "t4" not in halving.paused


def test_of_few_trials_the_best_is_trained_to_the_end() -> None:
    ran = search([9, 1, 3], pausing())
    assert ran.finished == ["t0001", "t0003"]
    assert ran.promoted == [("t0003", 2), ("t0003", 3)]
    assert ran.epochs["t0002"] == 1


def test_strata_have_rungs_of_their_own() -> None:
    halving = pausing(within=("schedule.kind",))
    for number, stratum in enumerate(["a", "b"] * 3):
        trial = f"t{number}"
        halving.started(trial, stratum)
        halving.report(trial, 1, number + (10 if stratum == "a" else 0))
        halving.ended(trial, number, early_stopped=False)
    assert halving.promotable(all_started=True) == Promotion("t4", 2)
    halving.promote("t4")
    assert halving.promotable(all_started=True) == Promotion("t5", 2)


@pytest.mark.parametrize(
    ("scheduler", "most"), [(PausingAsha(), 70), (PausingAsha(grace_epochs=0.25), 31)], ids=["epochs", "quarters"]
)
@pytest.mark.parametrize("workers", [1, 4])
def test_28_trials_of_15_epochs_take_about_70_or_from_quarters_about_29(
    scheduler: PausingAsha, most: float, workers: int
) -> None:
    for seed in range(5):
        scores = [0.5, *np.random.default_rng(seed).permutation(28)]
        ran = simulate(
            make_halving(scheduler, 15, "maximize", exempt=[BASELINE]),
            [constant(score) for score in scores],
            epochs=15,
            workers=workers,
            evaluations=[0.25, 0.5, 0.75],
        )
        sampled = sum(epochs for trial, epochs in ran.epochs.items() if trial != BASELINE)
        assert most - 6 <= sampled <= most  # a baseline among the best takes the place of one of them
        assert ran.epochs[BASELINE] == 15
        assert ran.finished[-1] == f"t{scores.index(27) + 1:04d}"


@settings(max_examples=50)
@given(SCORES, SHAPES, st.integers(1, 4), BREAKDOWNS)
def test_no_more_than_the_best_share_goes_on(
    scores: list[int], shape: dict[str, Any], workers: int, lost: set[tuple[int, int]]
) -> None:
    halving = pausing(**shape)
    ran = search(scores, halving, workers, lost)
    assert len(ran.promoted) == len(set(ran.promoted))
    assert halving.promotable(all_started=True) is None
    if shape["eager"] or workers > 1:
        return  # whom a rung has let go on before all came there, those may surpass
    for rung, level in enumerate(halving.levels, start=1):
        came = [trial for trial, epochs in ran.epochs.items() if epochs >= level]
        went_on = [trial for trial, to in ran.promoted if to == rung + 1]
        assert len(went_on) <= max(1, len(came) // shape["reduction_factor"])


@settings(max_examples=50)
@given(SCORES.filter(lambda scores: len(scores) > 1), SHAPES, st.integers(1, 4))
def test_a_trial_that_is_the_best_throughout_runs_to_the_end(
    scores: list[int], shape: dict[str, Any], workers: int
) -> None:
    ran = search(scores, pausing(**shape), workers)
    assert BASELINE in ran.finished
    assert max(scores[int(trial[1:]) - 1] for trial in ran.finished if trial != BASELINE) == max(scores[1:])


@settings(max_examples=30)
@given(SCORES, SHAPES, st.integers(1, 4), BREAKDOWNS)
def test_telling_it_all_again_rebuilds_it(
    scores: list[int], shape: dict[str, Any], workers: int, lost: set[tuple[int, int]]
) -> None:
    halving, again = pausing(**shape), pausing(**shape)
    ran = search(scores, halving, workers, lost)
    for call in ran.calls:
        call(again)
    assert again.paused == halving.paused
    for all_started in (False, True):
        assert again.promotable(all_started) == halving.promotable(all_started)
