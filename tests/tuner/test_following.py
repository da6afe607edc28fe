"""A search's log, read again while it grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner import following
from tuner.following import told
from tuner.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path, "birds")
    store.append("note", text="one")
    return store


def texts(store: Store, *, follow: bool) -> list[str]:
    return [event["text"] for event in told(store, follow=follow)]


@pytest.mark.parametrize("follow", [True, False])
def test_a_log_that_nobody_writes_is_told_once(follow: bool, store: Store) -> None:
    assert texts(store, follow=follow) == ["one"]


def test_what_is_written_meanwhile_is_told_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    holds = iter([True, True, False])
    reader = Store(store.folder)
    monkeypatch.setattr(reader, "held", lambda: next(holds))
    monkeypatch.setattr(following.time, "sleep", lambda _: store.append("note", text="more"))
    assert texts(reader, follow=True) == ["one", "more", "more"]


def test_without_follow_a_search_that_runs_is_not_waited_for(store: Store) -> None:
    with store.lock():
        assert texts(Store(store.folder), follow=False) == ["one"]
