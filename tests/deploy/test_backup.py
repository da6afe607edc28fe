"""`deploy/service/backup.sh`: a copy of a server that runs, from which another one goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_clusters import ROOT

from tuner.service.database.connection import Database, open_database
from tuner.service.database.rows import SearchRow
from tuner.service.searches import Listing, list_searches
from tuner.store import Store
from tuner.store import list_searches as list_stores

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


def submitted(name: str) -> SearchRow:
    now = datetime.now(UTC)
    times = {"submitted_at": now, "desired_at": now, "state_since": now}
    return SearchRow(id=name, name=name, submission={"space": "quick"}, desired="run", state="queued", **times)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A server's folder, with what a copy needs and what it does not."""
    folder = tmp_path / "state"
    (folder / "uploads" / "birds").mkdir(parents=True)
    (folder / "uploads" / "birds" / "labels.csv").write_text("image,labels\n")
    (folder / "ray").mkdir()
    return folder


@pytest.fixture
def database(state: Path) -> Iterator[Database]:
    found = open_database(f"sqlite:///{state / 'service.db'}")
    found.migrate()
    yield found
    found.close()


def back_up(state: Path, results: Path, copy: Path) -> None:
    subprocess.run(["sh", ROOT / "deploy" / "service" / "backup.sh", state, results, copy], check=True, timeout=60)


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return [row.name for row in list_searches(session, Listing())]


def test_a_copy_of_a_running_server_is_whole(state: Path, database: Database, tmp_path: Path) -> None:
    results, copy = tmp_path / "results", tmp_path / "copy"
    search = Store.create(results, "first")
    with search.lock():
        search.append("search_started", name="first", space="quick", trials=3)
        search.append("trial_started", "t0001", number=0, config={"backbone": "lite0"})
    with database.session() as session:
        session.add(submitted("first"))
    with search.lock(), database.session() as writing:  # beside those who write
        writing.add(submitted("unfinished"))
        writing.flush()
        back_up(state, results, copy)
        writing.rollback()
    restored = open_database(f"sqlite:///{copy / 'state' / 'service.db'}")
    restored.migrate()
    assert names(restored) == ["first"]
    restored.close()
    (found,) = list_stores(copy / "results")
    assert found.record() == search.record()
    assert (copy / "state" / "uploads" / "birds" / "labels.csv").exists()
    assert not (copy / "state" / "ray").exists()
    assert not (found.folder / "lock").exists()


def test_a_later_copy_brings_what_has_changed(state: Path, database: Database, tmp_path: Path) -> None:
    results, copy = tmp_path / "results", tmp_path / "copy"
    (results / "gone").mkdir(parents=True)
    back_up(state, results, copy)
    (results / "gone").rmdir()
    (results / "new").mkdir()
    (results / "new" / "events.jsonl").write_text("{}\n")
    with database.session() as session:
        session.add(submitted("later"))
    back_up(state, results, copy)
    assert [folder.name for folder in (copy / "results").iterdir()] == ["new"]
    restored = open_database(f"sqlite:///{copy / 'state' / 'service.db'}")
    assert names(restored) == ["later"]
    restored.close()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    ran = subprocess.run(["sh", ROOT / "deploy" / "service" / "backup.sh", tmp_path], capture_output=True, text=True)
    assert ran.returncode != 0
    assert "usage: backup.sh STATE RESULTS COPY" in ran.stderr
