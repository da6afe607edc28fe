"""A full disk: the search stops in order or ends with a line, nothing finished is lost, and it goes on later."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_searches import RunTuner, search_without_ray, tiny_space, write_labels_csv, write_space
from small_trials import MEASURED

from trainable.errors import UserError
from tuner import disk_budget
from tuner.config import Grant, SearchConfig, parse_options
from tuner.interruption import SearchFailedError
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.run import resume_search, run_search
from tuner.store import Event, Store

TRIALS = 3
Start = Callable[..., Store]


class Disk:
    """What is to be on disk for sure needs room, of which there is some for so many files more."""

    def __init__(self, fsync: Callable[[int], None]) -> None:
        self._fsync = fsync
        self.room: float = float("inf")
        self.refused = 0

    def fsync(self, file: int) -> None:
        self.room -= 1
        if self.room < 0:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fsync(file)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk(os.fsync)
    monkeypatch.setattr(os, "fsync", found.fsync)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 1e-2]}}
    write_space(folder / "space.yaml", tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2}))
    write_labels_csv(folder / "data")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _in_this_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        search_without_ray(patch)
        yield


@pytest.fixture(autouse=True)
def _one_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_CACHE", str(folder / "cache"))


def config_of(folder: Path, name: str, **more: Any) -> SearchConfig:
    options: dict[str, Any] = more | {"data": {"path": folder / "data" / "labels.csv"}, "trials": TRIALS, "top_k": 1}
    return parse_options(
        SearchConfig, name=name, space=str(folder / "space.yaml"), results=folder / "results", **options
    )


@pytest.fixture(scope="module")
def undisturbed(folder: Path, _in_this_process: None) -> SearchRecord:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        return run_search(config_of(folder, "undisturbed")).record()


def told(search: SearchRecord) -> dict[str, Any]:
    """What a search came to, without what is measured anew."""
    measured = {*MEASURED, "time"}
    trials = {
        trial.id: (
            trial.config,
            trial.status,
            dict(trial.test),
            [{name: told for name, told in vars(epoch).items() if name not in measured} for epoch in trial.epochs],
        )
        for trial in search.trials
    }
    return {"trials": trials, "status": search.status, "test_reads": search.test_reads}


def finished(search: SearchRecord) -> dict[str, Any]:
    return {trial.id: trial.best_value for trial in search.trials if trial.eligible}


@pytest.mark.parametrize("room", [4, 7, 9, 11, 14, 18, 25])
def test_a_search_goes_on_once_there_is_room(room: int, folder: Path, undisturbed: SearchRecord, disk: Disk) -> None:
    """Whichever write is the first to be refused: of a checkpoint, predictions, the log, a table."""
    disk.room = room
    with pytest.raises((SearchFailedError, OSError), match=r"disk is full|No space left"):
        run_search(config_of(folder, f"full-{room}"))
    assert disk.refused
    disk.room = float("inf")
    store = Store(folder / "results" / f"full-{room}")
    left = store.record()
    assert store.warnings == []
    assert left.status in ("stopped", "complete")
    assert {trial.status for trial in left.trials} <= {"complete", "paused", "running"}
    assert not list(store.folder.rglob("*.partial"))
    again = resume_search(store).record()
    assert told(again) == told(undisturbed)
    assert finished(left).items() <= finished(again).items()
    assert store.conclusions()


def test_one_line_tells_of_it(folder: Path, disk: Disk, run_tuner: RunTuner) -> None:
    disk.room = 6
    options = ["--data", folder / "data" / "labels.csv", "--results", folder / "results", "--name", "told"]
    ran = run_tuner("search", folder / "space.yaml", *options, "--trials", TRIALS)
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith("error: the disk is full")
    assert "`tuner resume told`" in line
    assert replay(Store(folder / "results" / "told").events()).trials


def test_a_disk_that_fills_up_stops_it_before_that_hurts(
    folder: Path, undisturbed: SearchRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(event: Event) -> None:
        if event["kind"] == "epoch" and event["trial"] == "t0002":
            monkeypatch.setattr(disk_budget, "free_bytes", lambda _: 1000)

    store = run_search(config_of(folder, "filled"), fill)
    left = store.record()
    assert left.status == "stopped"
    assert left.reason.startswith("disk: 0.000954 MiB free, ")
    assert left.reason.endswith(" needed: free some and `tuner resume`")
    assert {trial.id: trial.status for trial in left.trials} == {"t0001": "complete", "t0002": "paused"}
    monkeypatch.undo()
    monkeypatch.setenv("THAW_CACHE", str(folder / "cache"))
    (store.folder / "mine").write_bytes(bytes(30 * 2**20))
    limited = resume_search(store, limits=Grant(disk_gib=0.03)).record()
    assert limited.status == "stopped"
    assert limited.reason.endswith("needed for the next checkpoints; more: `tuner resume --disk-gib`")
    assert told(resume_search(store, limits=Grant(disk_gib=1)).record()) == told(undisturbed)
    assert "disk_gib: 1" in store.search_yaml.read_text()


def test_a_limit_that_checkpoints_cannot_keep_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"--disk-gib 1e-05: checkpoints take up to .* for each of the best 1"):
        run_search(config_of(folder, "refused", disk_gib=1e-5))
    assert not (folder / "results" / "refused").exists()


def test_a_table_that_cannot_be_written_does_not_end_the_search(
    folder: Path, undisturbed: SearchRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuner.report import best

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(best, "write_atomically", refuse)
        with pytest.raises(SearchFailedError, match="tables and conclusions are not up to date"):
            run_search(config_of(folder, "no-tables"))
    store = Store(folder / "results" / "no-tables")
    left = store.record()
    assert told(left) == told(undisturbed)
    assert [note.text for note in left.notes] == [
        "the disk is full: tables and conclusions are not up to date (No space left on device)"
    ]
    resume_search(store)
    assert store.leaderboard_md.exists()
    assert store.conclusions()
