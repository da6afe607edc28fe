"""The tracker's process beside a search, with ClearML's real SDK in it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from fake_clearml import FakeClearML
from small_searches import MakeSpace, Ran, RunTuner
from told_search import ToldSearch

from tuner.tracking import following
from tuner.tracking.clearml import CLEARML
from tuner.tracking.cursor import Cursor
from tuner.tracking.following import TrackerProcess

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("_without_ray")]


@pytest.fixture
def search(run_tuner: RunTuner, make_space: MakeSpace, labels_csv: Path, tmp_path: Path) -> RunTuner:
    """search("--tracking", "clearml"): a search of three trials, `one`, with these options."""

    def run(*options: object) -> Ran:
        place = ("--results", tmp_path / "results", "--name", "one", "--trials", 3)
        return run_tuner("search", make_space(), "--data", labels_csv, *place, *options)

    return run


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may be slow."""
    monkeypatch.setattr(following, "ANSWER_SECONDS", 120.0)


def trackers_left() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "tuner.tracking.process" in child.cmdline()]


def test_a_search_is_shown_as_it_runs(search: RunTuner, fake: FakeClearML, tmp_path: Path) -> None:
    ran = search("--tracking", "clearml")
    assert ran.code == 0, ran.err
    assert f"tracking: ClearML: {fake.url}" in ran.out
    task = fake.named("one")
    assert f"on the web: {fake.url}/projects/{task['project']}/tasks/{task['id']}/output/log" in ran.out
    trials = [trial for trial in fake.tasks.values() if trial["type"] == "training"]
    assert [trial["status"] for trial in (task, *trials)] == ["completed"] * 4
    assert {artifact["key"] for artifact in task["execution"]["artifacts"]} >= {"leaderboard", "conclusions"}
    assert len(fake.models) == 3
    assert "/output/log) " in (tmp_path / "results" / "one" / "leaderboard.md").read_text()
    assert trackers_left() == []


def test_while_the_server_is_gone_events_wait_and_are_sent_later_once(
    search: RunTuner, run_tuner: RunTuner, fake: FakeClearML, tmp_path: Path
) -> None:
    fake.is_up = False
    ran = search()
    assert ran.code == 0
    assert f"tracking: ClearML cannot be reached: {fake.url} does not answer; the search goes on" in ran.out
    assert "events wait; `tuner sync one` sends them" in ran.err
    assert trackers_left() == []
    sync = ("sync", "one", "--results", tmp_path / "results")
    assert run_tuner(*sync).code == 4
    fake.is_up = True
    for _ in range(2):
        ran = run_tuner(*sync)
        assert (ran.code, ran.out.splitlines()[0]) == (0, "ClearML has all of search one")
        assert sorted(task["type"] for task in fake.tasks.values()) == ["optimizer", *["training"] * 3]
    assert "/output/log) " in (tmp_path / "results" / "one" / "leaderboard.md").read_text()


def test_what_is_demanded_must_answer(search: RunTuner, fake: FakeClearML, tmp_path: Path) -> None:
    fake.is_up = False
    ran = search("--tracking", "clearml")
    assert ran.code == 4
    assert ran.err == (
        f"error: ClearML cannot be reached: {fake.url} does not answer; repair that, or give --tracking auto "
        "to go on without\n"
    )
    assert not (tmp_path / "results").exists()


def test_a_server_that_hangs_keeps_nobody(
    search: RunTuner, fake: FakeClearML, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PATIENCE_SECONDS", 0.5)
    fake.hangs.add("tasks.create")
    ran = search()
    assert ran.code == 0
    assert "events wait" in ran.err
    assert Cursor(tmp_path / "results" / "one", "clearml").seq == 0
    fake.hangs.clear()


def test_a_search_that_is_killed_is_shown_as_stopped_and_its_tracker_ends(told: ToldSearch, fake: FakeClearML) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    told.epoch("t0001", 1, 0.5)
    process = TrackerProcess(CLEARML, is_demanded=False)
    try:
        assert process.answer().reachable
        process.follow(told.store.place)
        process.leave()  # as the end of the search's process does
        assert process.wait(60)
    finally:
        process.kill()
    assert (fake.named("flowers")["status"], fake.named("t0001-lite0")["status"]) == ("stopped", "stopped")


def test_a_search_goes_on_with_the_trackers_that_it_is_then_given(
    search: RunTuner, run_tuner: RunTuner, fake: FakeClearML, tmp_path: Path
) -> None:
    assert search("--tracking", "off").code == 0
    assert not fake.tasks
    extend = ("extend", "one", "--results", tmp_path / "results", "--trials", "+1", "--tracking")
    ran = run_tuner(*extend, "clearmll")
    assert ran.code == 2
    assert "there is no tracker 'clearmll'" in ran.err
    ran = run_tuner(*extend, "clearml")
    assert ran.code == 0, ran.err
    assert sorted(task["type"] for task in fake.tasks.values()) == ["optimizer", *["training"] * 4]
    assert "tracking: clearml" in (tmp_path / "results" / "one" / "search.yaml").read_text()
