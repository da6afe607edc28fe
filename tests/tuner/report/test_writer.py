"""Tables that are written beside the search."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from small_predictions import PredictedSearch, right_on

from tuner.evidence.gathering import Gatherer, gather
from tuner.replay import replay
from tuner.report import writer
from tuner.report.best import write_outputs
from tuner.report.leaderboard import to_markdown
from tuner.report.writer import OutputWriter

PATIENCE_SECONDS = 60


@pytest.fixture
def search(tmp_path: Path) -> PredictedSearch:
    search = PredictedSearch(tmp_path)
    search.add("t0001", right_on(range(20)), baseline=True)
    return search


class Watched:
    """An OutputWriter whose writings are counted; the first `failures` of them fail."""

    def __init__(self, search: PredictedSearch, monkeypatch: pytest.MonkeyPatch, failures: int = 0) -> None:
        self.written = threading.Semaphore(0)
        self.failures = failures
        self.threads: list[int] = []
        monkeypatch.setattr(writer, "write_outputs", self._write)
        monkeypatch.setattr(writer, "LEAST_REST_SECONDS", 0.0)
        self.writer = OutputWriter(search.store, 3, Gatherer(search.store))
        search.store.listeners.append(self.writer.put)
        for event in search.store.events():
            self.writer.put(event)
        self.writer.start()

    def _write(self, *given: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("No space left on device")
        self.threads.append(threading.get_ident())
        write_outputs(*given)
        self.written.release()

    def wait(self) -> bool:
        return self.written.acquire(timeout=PATIENCE_SECONDS)


def test_tables_follow_the_log_from_another_thread(search: PredictedSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(search, monkeypatch)
    assert watched.wait()
    assert "t0001" in search.store.leaderboard_md.read_text()
    search.add("t0002", right_on(range(50)))
    assert watched.wait()
    assert search.store.best_yaml.is_file()
    assert threading.get_ident() not in watched.threads
    watched.writer.close()
    record = replay(search.store.events())
    assert search.store.leaderboard_md.read_text() == to_markdown(record, gather(search.store, record))


def test_what_could_not_be_written_is_tried_again(search: PredictedSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(search, monkeypatch, failures=2)
    assert watched.wait()
    watched.writer.close()
    assert search.store.best_yaml.is_file()


def test_a_disk_that_stays_full_is_told_at_the_end(search: PredictedSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(search, monkeypatch, failures=10**9)
    with pytest.raises(OSError, match="No space left"):
        watched.writer.close()
