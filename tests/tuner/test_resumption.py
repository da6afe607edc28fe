"""`tuner resume`: what was left goes on as what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_leftovers import Left, first, told
from small_searches import RunTuner

from trainable.errors import UserError
from tuner.run import resume_search
from tuner.store import Store


@pytest.mark.parametrize(
    "place",
    [
        first("search_started"),
        first("epoch", trial="t0002", epoch=1),
        first("epoch", trial="t0003", epoch=2),
        first("trial_ended", trial="t0004"),
        first("epoch", trial="t0001-r1", epoch=1),
        first("reference_scored"),
        first("test_scored"),
    ],
    ids=["nothing_trained", "amid_a_trial", "before_its_end", "all_trained", "a_rerun", "a_reference", "a_test"],
)
def test_what_was_killed_comes_to_the_same_records(
    place: Callable[[list[dict[str, Any]]], int], left: Left, whole: Store
) -> None:
    store = left(place)
    before = store.events_jsonl.read_bytes().rpartition(b"\n")[0]
    resume_search(store)
    assert store.events_jsonl.read_bytes().startswith(before)
    found, expected = told(store.record()), told(whole.record())
    for trial, came_to in expected["trials"].items():
        assert found["trials"][trial] == came_to, trial
    assert found == expected
    assert store.leaderboard_md.is_file()
    kinds = [event["kind"] for event in store.events()]
    assert kinds.count("search_resumed") == 1
    assert kinds[-1] == "search_ended"


def test_a_search_that_is_complete_is_not_resumed(whole: Store) -> None:
    with pytest.raises(UserError, match="is complete: there is nothing to resume"):
        resume_search(whole)


def test_a_search_that_was_killed_over_its_report_gets_one(left: Left) -> None:
    store = left(len)
    store.conclusions_md.unlink()
    trials = store.record().trials
    resume_search(store)
    assert store.conclusions_md.is_file()
    assert store.record().trials == trials


def test_a_search_that_was_killed_before_its_first_event_begins(left: Left, whole: Store) -> None:
    store = left(lambda _: 0)
    resume_search(store)
    assert told(store.record()) == told(whole.record())
    store.search_yaml.unlink()
    store.conclusions_md.unlink()
    with pytest.raises(UserError, match=r"'new' was killed before it had begun: remove .* and start it again"):
        resume_search(store)


def test_the_command_goes_on_and_tells_what_is_left(left: Left, run_tuner: RunTuner) -> None:
    store = left(first("trial_ended", trial="t0003"))
    ran = run_tuner("resume", store.folder)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("search new goes on: 3/4 trials, 3 complete")
    assert "t0004 complete" in ran.out
    assert "t0001 complete" not in ran.out
    again = run_tuner("resume", store.folder)
    assert (again.code, again.out) == (2, "")
    assert "is complete" in again.err


def test_hours_count_over_all_runs_until_more_are_given(left: Left, run_tuner: RunTuner) -> None:
    store = left(first("trial_ended", trial="t0002"))
    stored = store.search_yaml.read_text()
    assert stored.count("hours: null\n") == 2
    store.search_yaml.write_text(stored.replace("\n  hours: null\n", "\n  hours: 1.0e-9\n"))
    assert run_tuner("resume", store.folder).code == 0
    assert store.record().reason == "1e-09 hours are over; more: `tuner resume --hours`"
    assert len(store.record().trials) == 2
    refused = run_tuner("resume", store.folder, "--hours", "0")
    assert (refused.code, refused.err.startswith("error: --hours 0.0: ")) == (2, True)
    ran = run_tuner("resume", store.folder, "--hours", "2")
    assert ran.code == 0, ran.err
    assert (store.record().status, len(store.record().trials)) == ("complete", 4)
    assert "\n  hours: 2.0\n" in store.search_yaml.read_text()
    resumed = [event for event in store.events() if event["kind"] == "search_resumed"]
    assert [event["granted"] for event in resumed] == [{}, {"hours": 2}]
