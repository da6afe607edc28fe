from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import BASELINE, simulate

from search_spaces.schedulers import OneEpoch
from tuner.ray_backend.halving.choosing import make_halving
from tuner.ray_backend.halving.protocol import Halving, Promotion


def one_epoch(keep: int = 3) -> Halving:
    return make_halving(OneEpoch(keep=keep), 5, "minimize", exempt=[BASELINE])


def constant(score: float) -> Callable[[float], float]:
    return lambda epoch: score  # noqa: ARG005


def test_the_best_wait_until_all_have_had_their_epoch() -> None:
    halving = one_epoch(keep=1)
    for trial, score in (("t2", 0.5), ("t3", 0.4)):
        halving.started(trial)
        assert halving.report(trial, 1, score) == "pause"
        halving.ended(trial, score, early_stopped=False)
    assert halving.promotable(all_started=False) is None
    halving.started("t4")
    assert halving.promotable(all_started=True) is None
    halving.ended("t4", None, early_stopped=False)  # it failed
    assert halving.promotable(all_started=True) == Promotion("t3", 2)
    halving.promote("t3")
    assert halving.promotable(all_started=True) is None
    assert halving.paused == ["t2"]


def test_a_trial_that_joins_later_may_be_among_the_best() -> None:
    halving = one_epoch(keep=1)
    for trial, score in (("t2", 0.5), ("t3", 0.3), ("t4", 0.4)):
        halving.started(trial)
        halving.report(trial, 1, score)
        halving.ended(trial, score, early_stopped=False)
        if trial == "t2":
            halving.promote("t2")
    assert halving.promotable(all_started=True) == Promotion("t3", 2)


@pytest.mark.parametrize("workers", [1, 3])
@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 5))
def test_as_many_as_are_kept_run_to_the_end_beside_the_baseline(workers: int, scores: list[int], keep: int) -> None:
    ran = simulate(one_epoch(keep), [constant(score) for score in scores], epochs=5, workers=workers)
    kept = min(keep, len(scores) - 1)
    assert sum(ran.epochs.values()) == len(scores) + 4 * (kept + 1)
    finished = {trial for trial in ran.finished if trial != BASELINE}
    worst = max((scores[int(trial[1:]) - 1] for trial in finished), default=0)
    others = [score for number, score in enumerate(scores[1:], start=2) if f"t{number:04d}" not in finished]
    assert len(finished) == kept
    assert all(worst <= score for score in others)
