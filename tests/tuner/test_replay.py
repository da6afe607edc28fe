from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.records import SearchRecord
from tuner.replay import Replay, replay

Event = dict[str, Any]


def epoch(number: int, value: float | None, trial: str = "t0001", **fields: Any) -> Event:
    return {"kind": "epoch", "trial": trial, "epoch": number, "value": value} | fields


def ended(status: str, trial: str = "t0001", **fields: Any) -> Event:
    return {"kind": "trial_ended", "trial": trial, "status": status} | fields


def scored(number: int, value: float, status: str) -> list[Event]:
    trial = f"t{number + 1:04}"
    return [
        {"kind": "trial_started", "trial": trial, "number": number},
        epoch(1, value, trial, best_value=value, best_epoch=1),
        ended(status, trial),
    ]


def search(direction: str, *events: Event) -> SearchRecord:
    return replay([{"kind": "search_started", "objective": {"metric": "m", "direction": direction}}, *events])


def test_a_trial_reports_its_best_epoch() -> None:
    [trial] = replay(
        [
            {"kind": "trial_started", "trial": "t0001", "number": 0, "config": {"backbone": "lite0"}, "baseline": True},
            epoch(1, 0.5, best_value=0.5, best_epoch=1, val={"a": 1}, seconds=2.0, peak_memory_gib=3.0),
            epoch(2, 0.7, best_value=0.7, best_epoch=2, val={"a": 2}, seconds=4.0, best={"per_class": {"x": {}}}),
            epoch(3, None, best_value=0.7, best_epoch=2, val={"a": None}, seconds=6.0, peak_memory_gib=1.0),
        ]
    ).trials
    assert (trial.best_epoch, trial.best_value, trial.best_metrics) == (2, 0.7, {"a": 2.0})
    assert trial.best_details == {"per_class": {"x": {}}}
    assert (trial.epochs_run, trial.seconds, trial.peak_memory_gib) == (3, 6.0, 3.0)
    assert (trial.status, trial.baseline, trial.config) == ("running", True, {"backbone": "lite0"})


def test_a_trial_without_a_finite_value_has_no_best() -> None:
    [trial] = replay([epoch(1, None, best_value=None, best_epoch=None)]).trials
    assert (trial.best_value, trial.best_epoch, trial.best_metrics, trial.best_details) == (None, None, {}, {})


def test_a_repeated_epoch_replaces_the_first_attempt_from_there_on() -> None:
    first = [epoch(number, 0.9, best_value=0.9, best_epoch=1) for number in (1, 2, 3)]
    again = epoch(2, 0.4, best_value=0.5, best_epoch=1)
    [trial] = replay([*first, {"kind": "trial_resumed", "trial": "t0001"}, again]).trials
    assert [found.epoch for found in trial.epochs] == [1, 2]
    assert (trial.best_value, trial.epochs_run) == (0.5, 2)


def test_status_follows_the_events() -> None:
    log = Replay()
    expected = [
        ({"kind": "trial_started", "trial": "t0001"}, "running", None),
        (ended("paused"), "paused", None),
        ({"kind": "trial_resumed", "trial": "t0001"}, "running", None),
        (ended("failed", error="out of memory"), "failed", "out of memory"),
        ({"kind": "trial_started", "trial": "t0001"}, "running", None),
        (ended("complete", facts={"weights_sha256": "ab"}, device_name="cpu"), "complete", None),
    ]
    for event, status, error in expected:
        log.add(event)
        [trial] = log.record().trials
        assert (trial.status, trial.error) == (status, error)
    assert trial.facts == {"weights_sha256": "ab", "device_name": "cpu"}
    assert trial.eligible


def test_a_config_that_was_changed_for_want_of_memory_is_the_one_that_ran() -> None:
    asked = {"kind": "trial_started", "trial": "t0001", "config": {"batch_size": 64, "micro_batch": None}}
    epoch = {"kind": "epoch", "trial": "t0001", "epoch": 1, "value": 0.5}
    short = {"kind": "trial_resumed", "trial": "t0001", "reason": "out of memory"}
    [trial] = replay([asked, epoch, short]).trials
    assert (trial.config, trial.short_of_memory, trial.epochs_run) == (asked["config"], False, 1)
    [trial] = replay([asked, epoch, short, short | {"micro_batch": 32, "trains_batch_norm": True}]).trials
    assert (trial.config, trial.short_of_memory) == ({"batch_size": 64, "micro_batch": 32}, True)
    assert trial.epochs_run == 0  # of another config
    assert trial.facts["trains_batch_norm"] is True


def test_what_is_asked_for_meanwhile_is_what_is_read_at_once() -> None:
    events = [
        *scored(0, 0.5, "complete"),
        *scored(1, 0.6, "pruned"),
        {"kind": "trial_resumed", "trial": "t0002"},
        epoch(2, 0.7, "t0002", best_value=0.7, best_epoch=2),
        ended("failed", "t0002"),
        {"kind": "search_resumed", "again": ["t0002"]},
        {"kind": "test_scored", "trial": "t0001", "test": {"m": 0.4}},
    ]
    log, before = Replay(), replay([])
    for at, event in enumerate(events, start=1):
        log.add(event)
        found = log.record()
        assert found == replay(events[:at])
        kept = [trial for trial in found.trials if any(trial is known for known in before.trials)]
        assert len(kept) >= len(found.trials) - 1  # only what the event is about is made anew
        before = found


def test_a_search_follows_its_events() -> None:
    started = {
        "kind": "search_started",
        "time": "then",
        "name": "flowers",
        "trials": 5,
        "labels": ["a", "b"],
        "data": {"hash": "x"},
        "seed": 3,
    }
    log = Replay()
    log.add(started)
    assert (log.record().status, log.record().budget, log.record().labels) == ("running", 5, ("a", "b"))
    log.add({"kind": "search_ended", "status": "stopped", "reason": "asked to"})
    assert (log.record().status, log.record().reason) == ("stopped", "asked to")
    log.add({"kind": "search_resumed", "trials": 9})
    log.add({"kind": "note", "time": "now", "text": "more trials", "trial": "t0001"})
    found = log.record()
    assert (found.status, found.reason, found.budget, found.started) == ("running", "", 9, "then")
    assert [(note.text, note.trial) for note in found.notes] == [("more trials", "t0001")]
    assert found.trials == ()


def test_test_reads_are_counted() -> None:
    read = {"kind": "test_scored", "trial": "t0001", "test": {"m": 0.5, "n": None}}
    [trial] = replay([read]).trials
    assert (trial.test, trial.test_reads) == ({"m": 0.5}, 1)
    assert replay([read, read]).test_reads == 2
    assert replay([read | {"reads": 4}]).test_reads == 4


@pytest.mark.parametrize(("direction", "order"), [("maximize", ["t0002", "t0001", "t0003", "t0004"])])
def test_ranking_is_by_value_then_number_and_skips_the_ineligible(direction: str, order: list[str]) -> None:
    events = [*scored(2, 0.5, "early_stopped"), *scored(0, 0.5, "complete"), *scored(1, 0.9, "pruned")]
    found = search(direction, *events, *scored(3, 0.1, "complete"), ended("failed", "t0005"))
    assert [trial.id for trial in found.ranked()] == order
    assert found.ranks() == {"t0001": 1, "t0003": 1, "t0004": 3}
    assert found.best
    assert found.best.id == "t0001"


def test_minimising_ranks_the_lowest_first() -> None:
    found = search("minimize", *scored(0, 0.5, "complete"), *scored(1, 0.25, "complete"))
    assert [trial.id for trial in found.ranked()] == ["t0002", "t0001"]


def test_without_an_eligible_trial_there_is_no_best() -> None:
    assert search("maximize", *scored(0, 0.5, "pruned")).best is None
    assert replay([]).baseline is None


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["epoch", "value", "best_value", "best_epoch", "val", "best", "status", "error", "number", "config", "params"]
FIELDS += ["test", "reads", "facts", "objective", "labels", "data", "trials", "time", "text", "parent", "seed"]
KINDS = ["search_started", "trial_started", "epoch", "trial_ended", "trial_resumed", "test_scored", "search_ended"]


@given(
    st.lists(
        st.builds(
            lambda kind, trial, fields: {"kind": kind, "trial": trial} | fields,
            st.sampled_from([*KINDS, "search_resumed", "note", "from_the_future"]) | junk,
            st.sampled_from(["t0001", "t0002", None]) | junk,
            st.dictionaries(st.sampled_from(FIELDS), junk, max_size=5),
        ),
        max_size=8,
    )
)
def test_whatever_is_stored_is_read_tolerantly(events: list[Event]) -> None:
    found = replay(events)
    assert len(found.ranked()) <= len(found.trials)
    for trial in found.trials:
        assert trial.epochs_run == max((record.epoch for record in trial.epochs), default=0)
        assert trial.best_metrics is not None


def test_reruns_references_and_retrained_models_stand_beside_the_trials() -> None:
    again = {"of": "t0001", "kind": "fold", "seed": 1, "data_seed": 0, "fold": 2}
    record = replay(
        [
            {"kind": "search_started", "axes": ["freeze"], "overrides": ["backbone: resnet50 -> lite2"]},
            {"kind": "trial_started", "trial": "t0001", "number": 0},
            {"kind": "trial_started", "trial": "t0001-f2", "number": 1, "rerun": again},
            {"kind": "epoch", "trial": "t0001-f2", "epoch": 0.25, "step": 1, "value": 0.5, "best_value": 0.5},
            {"kind": "trial_ended", "trial": "t0001-f2", "status": "complete"},
            {"kind": "reference_scored", "name": "majority", "val": {"accuracy": 0.4}},
            {"kind": "retrained", "trial": "t0001", "splits": ["train", "val"], "steps": 40, "folder": "retrained"},
        ]
    )
    assert [trial.id for trial in record.trials] == ["t0001"]
    (fold,) = record.reruns_of("t0001", "fold")
    assert fold.rerun is not None
    assert (fold.rerun.fold, fold.rerun.train_share) == (2, 1.0)
    assert (fold.epochs[0].epoch, fold.epochs[0].step) == (0.25, 1)
    assert record.reruns_of("t0001", "repeat") == []
    assert record.references[0].val == {"accuracy": 0.4}
    assert record.retrained[0].steps == 40
    assert record.overrides == ("backbone: resnet50 -> lite2",)


def test_features_are_counted_over_epochs_trials_and_reruns() -> None:
    rerun = {"kind": "trial_started", "trial": "t0001-r1", "rerun": {"of": "t0001", "kind": "repeat"}}
    record = replay(
        [
            epoch(1, 0.5, features={"hits": 0, "misses": 60, "bytes": 600}),
            epoch(2, 0.5, features={"hits": 60, "misses": 0, "bytes": "many"}),
            epoch(1, 0.5, "t0002", features=None),
            rerun,
            epoch(1, 0.5, "t0001-r1", features={"hits": 60}),
        ]
    )
    assert dict(record.trials[0].features) == {"hits": 60, "misses": 60, "bytes": 600}
    assert not record.trials[1].features
    assert dict(record.features) == {"hits": 120, "misses": 60, "bytes": 600}


def test_commands_are_remembered_in_order() -> None:
    begun = {"kind": "search_started", "command": "tuner search quick"}
    resumed = {"kind": "search_resumed", "command": "tuner resume NAME"}
    by_python = {"kind": "search_resumed", "command": ""}
    assert replay([begun, by_python, resumed]).commands == ("tuner search quick", "tuner resume NAME")
    assert SearchRecord().commands == ()
