"""`tuner stop`: from outside, in order, and to be resumed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from small_searches import MakeSpace, RunTuner, tiny_space

from trainable.errors import UserError
from tuner import run
from tuner.config import SearchConfig, parse_options
from tuner.interruption import STOP, Interruption, heeding_requests, limit_trials, request_abort, stop_search
from tuner.resumption import Resumption, prove_again
from tuner.run import resume_search, run_search
from tuner.store import Event, Store

pytestmark = pytest.mark.usefixtures("_without_ray")


@pytest.fixture
def running(make_space: MakeSpace, labels_csv: Path, tmp_path: Path) -> Callable[[], threading.Thread]:
    """running(): a search of one very long trial, once it trains; its thread ends as Ctrl-C ends a process."""
    space = make_space(fixed={**tiny_space()["fixed"], "epochs": 5000})
    config = parse_options(
        SearchConfig, name="long", space=str(space), data={"path": labels_csv}, trials=1, results=tmp_path / "results"
    )

    def start() -> threading.Thread:
        training = threading.Event()

        def heed(event: Event) -> None:
            if event["kind"] == "epoch":
                training.set()

        def run() -> None:
            with suppress(KeyboardInterrupt):
                run_search(config, heed)

        thread = threading.Thread(target=run)
        thread.start()
        assert training.wait(60)
        return thread

    return start


def test_a_search_is_stopped_from_another_shell(
    running: Callable[[], threading.Thread], run_tuner: RunTuner, tmp_path: Path
) -> None:
    thread = running()
    store = Store(tmp_path / "results" / "long")
    with pytest.raises(UserError, match=r"'long' is being run by process \d+ on .*`tuner stop`"):
        resume_search(Store(store.folder))
    ran = run_tuner("stop", "long", "--results", tmp_path / "results")
    assert (ran.code, ran.out) == (0, "search long is stopped; `tuner resume long` goes on\n")
    thread.join(60)
    record = store.record()
    assert (record.status, record.reason) == ("stopped", "stopped by `tuner stop`")
    assert [trial.status for trial in record.trials] == ["paused"]
    assert not store.home.requests()


def test_a_search_that_is_just_going_on_is_stopped_before_it_trains(
    running: Callable[[], threading.Thread], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = running()
    store = Store(tmp_path / "results" / "long")
    stop_search(Store(store.folder), wait_seconds=60)
    thread.join(60)
    begun = len(list(store.events()))
    store.home.request(STOP)  # of a run that was killed

    def prove_while_asked(*given: Any, **options: Any) -> Resumption:
        assert not store.home.requests()
        Store(store.folder).home.request(STOP)
        return prove_again(*given, **options)

    monkeypatch.setattr(run, "prove_again", prove_while_asked)
    told: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        resume_search(store, told.append, _fail_on_training)
    assert [event["kind"] for event in list(store.events())[begun:]] == ["search_resumed", "search_ended"]
    assert store.record().reason == "stopped by `tuner stop`"
    assert not store.home.requests()


def _fail_on_training(event: Event) -> None:
    assert event["kind"] != "epoch", "it trains"


def test_a_trial_that_is_aborted_ends_at_its_next_evaluation(
    running: Callable[[], threading.Thread], tmp_path: Path
) -> None:
    thread = running()
    store = Store(tmp_path / "results" / "long")
    request_abort(store, "t0001")
    thread.join(60)
    record = store.record()
    (trial,) = record.trials
    assert (record.status, trial.status, trial.halted_at) == ("complete", "pruned", None)
    assert trial.facts["aborted"]
    assert [note.text for note in record.notes] == ["t0001 was aborted where a tracker shows it"]
    assert not store.home.requests()


def test_a_search_that_is_aborted_where_it_is_shown_stops(
    running: Callable[[], threading.Thread], tmp_path: Path
) -> None:
    thread = running()
    store = Store(tmp_path / "results" / "long")
    request_abort(store)
    thread.join(60)
    assert (store.record().status, store.record().reason) == ("stopped", "aborted where a tracker shows it")


def test_the_latest_limit_of_trials_at_once_holds(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "shared")
    with heeding_requests(store, Interruption()) as asked:
        assert asked.most_trials is None
    for most in (3, 1, 1, 12, None, 2):
        limit_trials(store, most)
        assert len(store.home.requests()) == (most is not None)
        with store.lock():
            kept = store.home.requests()
            with heeding_requests(store, Interruption()) as asked:
                assert asked.most_trials == most
        for name in kept:  # it took them back as it ended
            store.home.request(name)


def test_what_does_not_run_is_not_stopped(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "idle")
    with pytest.raises(UserError, match="'idle' is not running: there is nothing to stop"):
        stop_search(store, wait_seconds=1)
    assert not store.home.requests()


def test_what_heeds_no_requests_is_named(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "kept")
    told = r"'kept' is not running: it is held by process \d+ on .*, which runs `tuner retrain`"
    with store.lock("tuner retrain"), pytest.raises(UserError, match=told):
        stop_search(Store(store.folder), wait_seconds=0)
    assert not store.home.requests()


def test_a_search_that_does_not_stop_in_time_is_named(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "busy")
    with store.lock(), pytest.raises(UserError, match=r"'busy' has not stopped in 0 s.*end process \d+ on"):
        stop_search(Store(store.folder), wait_seconds=0)
