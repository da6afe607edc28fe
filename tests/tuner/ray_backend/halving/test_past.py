from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tuner.ray_backend.halving.past import halving_after
from tuner.ray_backend.halving.protocol import Promotion
from tuner.store import Event

PAUSING = {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2}


def started(scheduler: Mapping[str, Any] = PAUSING, direction: str = "maximize") -> Event:
    return {
        "kind": "search_started",
        "scheduler": dict(scheduler),
        "objective": {"metric": "f2_macro", "direction": direction},
        "baseline": {"epochs": 4},
    }


def trial(number: int, *bests: float, status: str = "paused", schedule: str = "constant", **facts: Any) -> list[Event]:
    of = {"trial": f"t{number:04d}"}
    epochs = [
        {**of, "kind": "epoch", "epoch": epoch, "best_value": best, "value": best}
        for epoch, best in enumerate(bests, start=1)
    ]
    start = {**of, "kind": "trial_started", "config": {"schedule": {"kind": schedule}}, **facts}
    return [start, *epochs, {**of, "kind": "trial_ended", "status": status}]


def resumed(number: int, *bests: float, first: int, status: str, **facts: Any) -> list[Event]:
    of = {"trial": f"t{number:04d}"}
    epochs = [
        {**of, "kind": "epoch", "epoch": epoch, "best_value": best, "value": best}
        for epoch, best in enumerate(bests, start=first)
    ]
    return [{**of, "kind": "trial_resumed", **facts}, *epochs, {**of, "kind": "trial_ended", "status": status}]


def test_who_waits_where_and_who_would_go_on() -> None:
    log = [started(), *trial(1, 0.1, 0.1, 0.1, 0.1, status="complete")]
    log += [event for number, best in ((2, 0.2), (3, 0.6), (4, 0.4), (5, 0.3)) for event in trial(number, best)]
    log += resumed(3, 0.7, first=2, status="paused", rung=2)
    halving = halving_after(log).halving
    assert halving.paused == ["t0003", "t0004", "t0005", "t0002"]
    assert halving.promotable(all_started=True) == Promotion("t0004", 2)
    halving.promote("t0004")
    assert halving.promotable(all_started=True) == Promotion("t0003", 3)  # one of two at the second rung
    halving.promote("t0003")
    assert halving.promotable(all_started=True) is None


def test_lower_may_be_better() -> None:
    log = [started(direction="minimize"), *trial(2, 0.2), *trial(3, 0.6), *trial(4, 0.4)]
    assert halving_after(log).halving.paused == ["t0002", "t0004", "t0003"]


def test_strata_are_those_of_the_log() -> None:
    log = [started({**PAUSING, "within": ["schedule.kind"]})]
    for number, schedule in enumerate(["constant", "cosine"] * 2, start=2):
        log += trial(number, number / 10, schedule=schedule)
    halving = halving_after(log).halving
    assert halving.promotable(all_started=True) == Promotion("t0005", 2)
    halving.promote("t0005")
    assert halving.promotable(all_started=True) == Promotion("t0004", 2)  # the best of the constant ones


def test_a_trial_that_patience_ended_at_a_rung_does_not_wait_there() -> None:
    log = [started(), *trial(2, 0.9, status="early_stopped"), *trial(3, 0.2)]
    halving = halving_after(log).halving
    assert halving.paused == ["t0003"]
    assert halving.promotable(all_started=True) is None  # the better one of the two has ended


def test_audited_trials_reruns_and_retries_change_no_rung() -> None:
    log = [started(), *trial(2, 0.5), *trial(3, 0.4)]
    before = halving_after(log).halving.promotable(all_started=True)
    log += trial(9, 0.9, status="complete", rerun={"of": "t0002"})
    log += resumed(3, 0.9, 0.9, 0.9, first=2, status="complete", audit=1)
    after = halving_after(log).halving
    assert after.paused == ["t0002"]
    assert after.promotable(all_started=True) == before == Promotion("t0002", 2)


@pytest.mark.parametrize(
    "log",
    [
        [],
        [{"kind": "epoch", "trial": "t0001", "epoch": 1, "best_value": 0.5}],
        [started({"kind": "of a later version"}), *trial(2, 0.5)],
        [started(), *trial(2, 0.5)[1:]],
        [started(), {"kind": "trial_resumed", "trial": "t0002", "rung": 2}],
        [{"kind": "search_started", "scheduler": PAUSING}, *trial(2, 0.5)],
    ],
)
def test_an_odd_log_has_nobody_waiting(log: list[Event]) -> None:
    assert halving_after(log).halving.paused == []
