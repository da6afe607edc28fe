"""`tuner stop`: from outside, in order, and to be resumed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from small_searches import MakeSpace, RunTuner, tiny_space

from trainable.errors import UserError
from tuner.config import SearchConfig, parse_options
from tuner.interruption import stop_search
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
            with pytest.raises(KeyboardInterrupt):
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
    assert not store.home.requested("stop")


def test_what_does_not_run_is_not_stopped(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "idle")
    with pytest.raises(UserError, match="'idle' is not running: there is nothing to stop"):
        stop_search(store, wait_seconds=1)
    assert not store.home.requested("stop")


def test_a_search_that_does_not_stop_in_time_is_named(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "busy")
    with store.lock(), pytest.raises(UserError, match=r"'busy' has not stopped in 0 s.*end process \d+ on"):
        stop_search(Store(store.folder), wait_seconds=0)
