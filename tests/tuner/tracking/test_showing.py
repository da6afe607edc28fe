"""A tracker at work: what it shows, when it tries again, and what it heeds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from told_search import ToldSearch

from tuner.records import SearchRecord
from tuner.store import Store
from tuner.tracking import showing
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import Aborted, News, TrackerKind, UnreachableError
from tuner.tracking.showing import Showing
from tuner.tracking.syncing import waiting
from tuner.tracking.trackers import TRACKERS, parse_tracking, wanted_trackers


class Spy:
    """A tracker that remembers, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.shown: list[tuple[str, set[str]]] = []
        self.finished: list[SearchRecord] = []
        self.aborts = Aborted()
        self.failures = failures
        self.after: Callable[[], None] = lambda: None

    def show(self, search: SearchRecord, news: News) -> None:
        if self.failures:
            self.failures -= 1
            raise UnreachableError("gone")
        self.shown.append((search.status, set(news.trials)))
        self.after()

    def finish(self, search: SearchRecord) -> None:
        self.finished.append(search)

    def aborted(self) -> Aborted:
        return self.aborts

    def close(self) -> None:
        pass


def kind_of(spy: Spy) -> TrackerKind:
    return TrackerKind("spy", "Spy", lambda: True, "", lambda: "", lambda store, cursor: spy)  # noqa: ARG005


def work(spy: Spy, told: ToldSearch, ending: threading.Event | None = None) -> bool:
    if ending is None:
        ending = threading.Event()
        ending.set()
    return Showing(Store(told.store.folder), kind_of(spy), ending).run()


def test_everything_is_shown_and_noted(told: ToldSearch) -> None:
    told.begin()
    told.trial("t0001", 0, 0.5)
    told.end()
    spy = Spy()
    assert work(spy, told)
    assert spy.shown == [("complete", {"t0001"})]
    assert [search.status for search in spy.finished] == ["complete"]
    cursor = Cursor(told.store.folder, "spy")
    assert (cursor.seq, cursor.is_finished) == (5, True)


def test_what_cannot_be_shown_at_the_end_waits(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    told.begin()
    told.end()
    spy = Spy(failures=1)
    monkeypatch.setitem(TRACKERS, "spy", kind_of(spy))
    assert not work(spy, told)
    assert list(waiting(told.store)) == ["Spy: 2 events wait; `tuner sync flowers` sends them"]
    assert work(spy, told)
    assert list(waiting(told.store)) == []


def test_while_a_search_runs_it_is_tried_again(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "RETRY_SECONDS", (0.0,))
    told.begin()
    spy, ending = Spy(failures=3), threading.Event()
    spy.after = ending.set
    with told.store.lock():
        assert work(spy, told, ending)
    assert spy.failures == 0
    assert len(spy.shown) == 1


def test_a_search_whose_process_is_gone_is_shown_as_stopped(told: ToldSearch) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    spy = Spy()
    assert work(spy, told)
    assert spy.shown[-1] == ("stopped", {"t0001"})
    assert spy.finished[0].reason == "its process is gone"


def test_what_people_abort_is_asked_of_the_search(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "ABORT_SECONDS", 0.0)
    monkeypatch.setattr(showing, "LOOK_SECONDS", 0.0)
    told.begin()
    spy, ending = Spy(), threading.Event()
    spy.aborts = Aborted(search=True, trials=frozenset({"t0007"}))

    def aborted() -> Aborted:
        ending.set()
        return spy.aborts

    spy.aborted = aborted  # type: ignore[method-assign]
    with told.store.lock():
        work(spy, told, ending)
    assert told.store.home.requests() == {"abort", "abort-t0007"}


def test_a_tracker_that_is_broken_disturbs_nobody(told: ToldSearch, capsys: pytest.CaptureFixture[str]) -> None:
    told.begin()

    def fail(store: Store, cursor: Cursor) -> Spy:  # noqa: ARG001
        raise ZeroDivisionError

    ending = threading.Event()
    ending.set()
    assert not Showing(Store(told.store.folder), replace(kind_of(Spy()), open=fail), ending).run()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_trackers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, "spy", kind_of(Spy()))
    assert parse_tracking("auto") == "auto"
    assert parse_tracking(" spy, clearml ,spy") == "spy,clearml"
    assert [kind.name for kind in wanted_trackers("spy,clearml")] == ["spy", "clearml"]
    assert wanted_trackers("off") == []
    with pytest.raises(ValueError, match=r"there is no tracker 'clearlm'.*did you mean 'clearml'"):
        parse_tracking("clearlm")
    with pytest.raises(ValueError, match="there is no tracker 'off'"):
        parse_tracking("off,spy")


def test_auto_is_what_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "clearml" not in [kind.name for kind in wanted_trackers("auto")]
    (tmp_path / "clearml.conf").touch()
    assert "clearml" in [kind.name for kind in wanted_trackers("auto")]
