"""What the service says of a search is what the command line says of it, however its log grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_searches import RunTuner
from told_search import ToldSearch

from tuner.replay import Replay
from tuner.service.watching.reading import Reading
from tuner.service.watching.readings import Readings
from tuner.store import Store


@pytest.fixture
def told(tmp_path: Path) -> ToldSearch:
    return ToldSearch(Store.create(tmp_path / "results", "flowers"))


def reading_of(told: ToldSearch) -> Reading:
    return Reading(told.store.folder)


def test_the_record_follows_the_log(told: ToldSearch) -> None:
    reading = reading_of(told)
    told.begin()
    for number in range(3):
        told.trial(f"t000{number + 1}", number, 0.1, 0.2 + number / 10)
        assert reading.record() == told.store.record()
    told.store.note("look at the second")
    assert [note.text for note in reading.record().notes] == ["look at the second"]
    told.end()
    assert reading.record() == told.store.record()


def test_a_line_is_parsed_once(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    told.begin()
    told.trial("t0001", 0, *(0.1 for _ in range(20)))
    reading = reading_of(told)
    reading.record()
    added: list[object] = []
    monkeypatch.setattr(Replay, "add", lambda _, event: added.append(event))
    told.epoch("t0001", 21, 0.3)
    reading.record()
    reading.record()
    assert len(added) == 1


def test_a_half_written_line_is_no_event_yet(told: ToldSearch) -> None:
    told.begin()
    line = json.dumps({"v": 1, "seq": 2, "kind": "note", "text": "later"})
    with told.store.events_jsonl.open("a") as log:
        log.write(line[:20])
        log.flush()
        reading = reading_of(told)
        assert reading.last_seq() == 1
        log.write(line[20:] + "\n")
    assert reading.last_seq() == 2


@pytest.mark.parametrize("after", [0, 1, 63, 64, 65, 150, 299, 300, 301])
def test_events_come_in_order_from_any_number_on(told: ToldSearch, after: int) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    for epoch in range(1, 299):
        told.epoch("t0001", epoch, epoch / 300)
    reading = reading_of(told)
    found: list[int] = []
    while batch := reading.events(found[-1] if found else after, at_most=40):
        found += [event.seq for event in batch]
    assert found == list(range(after + 1, 301))


def test_an_event_is_told_as_the_log_has_it(told: ToldSearch) -> None:
    told.begin(about="<b>\u2028\n")
    event = reading_of(told).events()[0]
    assert event.line + "\n" == told.store.events_jsonl.read_text(encoding="utf-8")
    assert (event.kind, event.trial) == ("search_started", None)


def test_what_is_no_event_is_left_out(told: ToldSearch) -> None:
    told.begin()
    with told.store.events_jsonl.open("a") as log:
        log.write('nonsense\n[1]\n{"kind": "epoch"}\n{"seq": 2, "kind": "a\\nb"}\n')
    assert [(event.seq, event.kind) for event in reading_of(told).events()] == [(1, "search_started"), (2, "")]


def test_predictions_are_looked_at_again_only_when_a_trial_has_a_rank(told: ToldSearch) -> None:
    reading = reading_of(told)
    told.begin()
    told.trial("t0001", 0, 0.1)
    before = reading.evidence()
    told.begin_trial("t0002", 1)
    told.epoch("t0002", 1, 0.2)
    assert reading.evidence() is before
    told.end_trial("t0002")
    assert reading.evidence().ranks == {"t0002": 1, "t0001": 2}


def test_another_search_of_the_same_name_is_read_from_its_beginning(told: ToldSearch) -> None:
    told.begin()
    told.trial("t0001", 0, 0.5)
    reading = reading_of(told)
    assert len(reading.record().trials) == 1
    told.store.events_jsonl.unlink()
    told.store.events_jsonl.write_text("")
    again = ToldSearch(Store(told.store.folder))
    again.begin()
    assert reading.record().trials == ()


def test_progress_counts_and_estimates(told: ToldSearch) -> None:
    told.begin()
    told.trial("t0001", 0, 0.25, 0.5)
    told.begin_trial("t0002", 1)
    reading = reading_of(told)
    with told.store.lock():
        progress = reading.progress()
    assert (progress.ended, progress.running, progress.budget) == (1, 1, 3)
    assert (progress.best, progress.best_value, progress.metric) == ("t0001", 0.5, "f2")
    told.end_trial("t0002")
    told.end()
    assert reading.progress().seconds_left is None


def test_a_search_whose_process_is_gone_is_stopped(told: ToldSearch) -> None:
    told.begin()
    readings = Readings(told.store.results)
    with told.store.lock():
        summary = readings.summary("flowers")
        assert summary
        assert summary.facts["status"] == "running"
    summary = readings.summary("flowers")
    assert summary
    assert (summary.facts["status"], summary.facts["reason"]) == ("stopped", "its process is gone")


def test_a_summary_is_found_without_reading_the_log_again(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    told.begin()
    told.end()
    readings = Readings(told.store.results)
    first = readings.summary("flowers")
    with monkeypatch.context() as patch:
        patch.setattr(readings, "get", lambda _: pytest.fail("was read"))
        assert readings.summary("flowers") == first
    told.store.note("a remark")
    changed = readings.summary("flowers")
    assert changed
    assert changed.facts["notes"] != []


def test_what_has_not_begun_is_nothing(tmp_path: Path) -> None:
    readings = Readings(tmp_path)
    assert readings.get("none") is None
    assert readings.summary("none") is None


def test_only_so_many_events_are_held(tmp_path: Path) -> None:
    readings = Readings(tmp_path, events_held=10)
    for name in "abc":
        told = ToldSearch(Store.create(tmp_path, name))
        told.begin()
        told.trial("t0001", 0, 0.1, 0.2, 0.3)
    first = readings.get("a")
    assert first is readings.get("a")
    readings.get("b")
    readings.get("c")
    again = readings.get("a")
    assert again is not first
    assert again
    assert len(again.record().trials) == 1


@pytest.mark.parametrize("format", ["md", "csv", "json"])
@pytest.mark.parametrize("top", [None, 1])
def test_leaderboards_are_those_of_the_command_line(
    searched_folder: Path, run_tuner: RunTuner, format: str, top: int | None
) -> None:
    asked = ["leaderboard", searched_folder.name, "--results", searched_folder.parent, "--format", format]
    printed = run_tuner(*asked, *(["--top", top] if top else [])).out
    assert Reading(searched_folder).leaderboard(format, top) == printed  # type: ignore[arg-type]


def test_facts_are_those_of_the_command_line(searched_folder: Path, run_tuner: RunTuner) -> None:
    reading = Reading(searched_folder)
    options = ["--results", searched_folder.parent, "--json"]
    assert reading.facts() == json.loads(run_tuner("show", searched_folder.name, *options).out)
    trial = json.loads(run_tuner("show", searched_folder.name, "t0002", *options).out)
    assert json.loads(json.dumps(reading.trial_facts("t0002"))) == trial
    assert [point.epoch for point in reading.curve("t0002")] == [point["epoch"] for point in trial["curve"]]
