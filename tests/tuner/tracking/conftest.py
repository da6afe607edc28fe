"""A fake ClearML server, and a search told to it that nobody trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_clearml import FakeClearML, environment, serving
from told_search import ToldSearch

from tuner.store import Store
from tuner.tracking import following


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeClearML]:
    """A server that the SDK is configured for."""
    monkeypatch.setenv("THAW_TRACKING", "auto")
    monkeypatch.setattr(following, "ANSWER_SECONDS", 120.0)  # a busy machine takes long to start a process
    monkeypatch.setenv("CLEARML_CONFIG_FILE", str(tmp_path / "none.conf"))
    with serving(found := FakeClearML()) as url:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def told(tmp_path: Path) -> ToldSearch:
    """A search named `flowers`, of which nothing is told yet."""
    return ToldSearch(Store.create(tmp_path / "results", "flowers"))
