"""What a search has taken so far, by the times in its log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuner.spending import NOTHING_SPENT, Spent, time_spent


def at(hour: float, kind: str, **fields: Any) -> dict[str, Any]:
    """An event so many hours after some beginning."""
    time = datetime.fromtimestamp(1_700_000_000 + hour * 3600, UTC)
    return {"time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "kind": kind, **fields}


def test_runs_count_and_the_time_between_them_does_not() -> None:
    log = [
        *(at(0, "search_started"), at(1, "epoch", trial="t0001"), at(2, "search_ended")),
        *(at(10, "search_resumed"), at(11, "epoch", trial="t0001")),  # killed
        *(at(20, "search_resumed"), at(20.5, "trial_ended", trial="t0001")),
    ]
    assert time_spent(log) == Spent(hours=3.5)


def test_what_another_command_tells_between_runs_is_no_run() -> None:
    log = [at(0, "search_started"), at(1, "search_ended"), at(5, "retrained", trial="t0001"), at(7, "search_resumed")]
    assert time_spent(log) == Spent(hours=1)
    killed = [at(0, "search_started"), at(1, "note"), at(5, "retrained", trial="t0001"), at(7, "search_resumed")]
    assert time_spent(killed) == Spent(hours=1)


def test_gpu_hours_are_those_of_epochs_times_the_gpus_that_a_trial_had() -> None:
    log = [
        at(0, "search_started"),
        at(1, "trial_started", trial="t0001"),
        at(1, "trial_started", trial="t0002"),
        at(3, "epoch", trial="t0001", gpus=0.5),
        at(4, "epoch", trial="t0002", gpus=2),
        at(5, "epoch", trial="t0001", gpus=0.5),
        # killed; what t0001 did since is not known
        at(9, "search_resumed"),
        at(10, "trial_resumed", trial="t0001"),
        at(11, "epoch", trial="t0001", gpus=1),
    ]
    assert time_spent(log).gpu_hours == 0.5 * 4 + 2 * 3 + 1


def test_what_is_granted_anew_counts_from_then() -> None:
    log = [
        at(0, "search_started"),
        at(0, "trial_started", trial="t0001"),
        at(2, "epoch", trial="t0001", gpus=1),
        at(2, "search_ended"),
        at(3, "search_resumed", granted={"hours": 4}),
        at(4, "note"),
    ]
    assert time_spent(log) == Spent(hours=1, gpu_hours=2)


@given(st.lists(st.one_of(st.dictionaries(st.sampled_from(["kind", "time", "trial", "gpus"]), st.text()))))
def test_an_unreadable_log_has_taken_no_time(log: list[dict[str, Any]]) -> None:
    assert time_spent(log) == NOTHING_SPENT


@given(st.lists(st.floats(0, 100), min_size=1))
def test_time_never_runs_backwards(hours: list[float]) -> None:
    log = [at(hours[0], "search_started"), *(at(hour, "epoch", trial="t0001", gpus=1) for hour in hours)]
    spent = time_spent(log)
    assert 0 <= spent.gpu_hours <= spent.hours + 1e-9
