"""What people abort in ClearML's page, of a search with Ray."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fake_clearml import FakeClearML
from small_searches import ROOT, MakeSpace, start_search, tiny_space

from tuner.store import Store
from tuner.tracking import showing
from tuner.tracking.clearml import CLEARML
from tuner.tracking.showing import Showing

pytestmark = pytest.mark.real


def test_a_trial_and_then_its_search_are_aborted(
    fake: FakeClearML, make_space: MakeSpace, labels_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "ABORT_SECONDS", 0.0)
    monkeypatch.setattr(showing, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(showing, "SHARE_OF_TIME", 1.0)
    waiting = {"loss.kind": "waiting", "loss.seconds": 0.1, "epochs": 5000}  # so that there is little to show
    space = make_space(fixed=tiny_space()["fixed"] | waiting)
    options = ("--trials", 2, "--workers", 1, "--tracking", "off", "--plugin", ROOT / "benchmarks" / "waiting.py")
    search = start_search(space, labels_csv, tmp_path / "results", "flowers", *options)
    store = Store(search.folder)
    search.wait_for(lambda event: event["kind"] == "epoch")
    with _shown(store):
        fake.abort(_task(fake, "t0001-timm:test_resnet"))
        ended = search.wait_for(lambda event: event["kind"] == "trial_ended")
        assert (ended["trial"], ended["status"], ended["aborted"]) == ("t0001", "pruned", True)
        search.wait_for(lambda event: event["kind"] == "epoch" and event["trial"] == "t0002")
        _task(fake, "t0002-timm:test_resnet")
        fake.abort(_task(fake, "flowers"))
        assert search.finish().code == 130
    record = store.record()
    assert (record.status, record.reason) == ("stopped", "aborted where a tracker shows it")
    assert [trial.status for trial in record.trials] == ["pruned", "paused"]
    assert fake.named("t0001-timm:test_resnet")["status_reason"] == "aborted"
    assert {task["status"] for task in fake.tasks.values()} == {"stopped"}


@contextmanager
def _shown(store: Store) -> Iterator[None]:
    """Meanwhile, what the tracker's process does is done here."""
    ending = threading.Event()
    thread = threading.Thread(target=Showing(store, CLEARML, ending).run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _task(fake: FakeClearML, name: str) -> str:
    """The id of the task of this name, once it is there and runs."""

    def running() -> Any:
        with suppress(ValueError):  # there is none yet
            task = fake.named(name)
            return task["status"] == "in_progress" and task["id"]

    found: str = _awaited(running)
    return found


def _awaited(what: Callable[[], Any], seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it does not come")
