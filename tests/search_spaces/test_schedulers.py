from __future__ import annotations

import pytest

from search_spaces.schedulers import Asha, NoScheduler, OneEpoch, PausingAsha, rung_levels, stored_scheduler


def test_levels_grow_by_the_factor_and_stay_below_the_horizon() -> None:
    assert rung_levels(1, 3, 30) == (1, 3, 9, 27)
    assert rung_levels(1, 3, 27) == (1, 3, 9)
    assert rung_levels(0.5, 2, 4) == (0.5, 1, 2)
    assert rung_levels(1, 3, 1) == ()
    assert rung_levels(0.1, 3, 1) == (0.1, 0.3, 0.9)


@pytest.mark.parametrize(("grace_epochs", "factor"), [(0, 3), (1, 1)])
def test_rungs_that_would_never_end_are_refused(grace_epochs: float, factor: float) -> None:
    with pytest.raises(ValueError, match="grace_epochs > 0"):
        rung_levels(grace_epochs, factor, 30)


def test_every_scheduler_knows_its_rungs() -> None:
    assert Asha().rungs(15) == PausingAsha().rungs(15) == (1, 3, 9)
    assert PausingAsha(grace_epochs=0.25).rungs(5) == (0.25, 0.75, 2.25)
    assert OneEpoch().rungs(15) == (1,)
    assert OneEpoch().rungs(1) == NoScheduler().rungs(15) == ()


@pytest.mark.parametrize("scheduler", [Asha(within=("schedule.kind",)), PausingAsha(eager=True), OneEpoch(keep=5)])
def test_what_a_log_says_is_read_again(scheduler: Asha | PausingAsha | OneEpoch) -> None:
    assert stored_scheduler(scheduler.model_dump(mode="json")) == scheduler


@pytest.mark.parametrize("stored", [{}, {"kind": "of a later version"}, None, 3])
def test_what_cannot_be_read_halts_nothing(stored: object) -> None:
    assert stored_scheduler(stored) == NoScheduler()
