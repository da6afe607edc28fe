"""The room that a search may take, before it begins and while it runs."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from small_searches import tiny_space, write_space

from search_spaces.space import load_space
from trainable.data.cache import GIB
from trainable.errors import UserError
from tuner import disk_budget
from tuner.disk_budget import DiskBudget, checkpoints_bytes, require_room
from tuner.retention import Retention
from tuner.store import Store

MIB = 2**20
Usage = namedtuple("Usage", "total used free")
FreeMib = Callable[[float], None]


@pytest.fixture
def free_mib(monkeypatch: pytest.MonkeyPatch) -> FreeMib:
    """free_mib(30): what is free on a disk of 1000 MiB."""

    def be(free: float) -> None:
        usage = Usage(1000 * MIB, int((1000 - free) * MIB), int(free * MIB))
        monkeypatch.setattr(disk_budget.shutil, "disk_usage", lambda _: usage)

    be(500)
    return be


class Searched:
    """A search of which only checkpoints and events are real."""

    def __init__(self, folder: Path, limit_gib: float | None) -> None:
        self.store = Store(folder / "searched")
        self.store.folder.mkdir(exist_ok=True)
        self.store.events_jsonl.touch()
        self.begin(limit_gib)

    def begin(self, limit_gib: float | None) -> None:
        self.retention = Retention(self.store, list(self.store.events()), 1, 0)
        self.budget = DiskBudget(self.store, self.retention, limit_gib)
        self.store.listeners = [self.retention.put, self.budget.put]

    def train(self, trial: str, value: float, mib: float) -> None:
        self.store.append("trial_started", trial, number=int(trial[1:]), baseline=trial == "t0001")
        for file in (self.store.best_checkpoint(trial), self.store.last_checkpoint(trial)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes(int(mib * MIB)))
        self.store.append("epoch", trial, epoch=1, best_value=value, best_epoch=1)

    def end(self, trial: str) -> None:
        self.store.append("trial_ended", trial, status="complete")

    @property
    def held_mib(self) -> float:
        return round(self.budget.held_bytes / MIB, 1)


@pytest.mark.usefixtures("free_mib")
def test_what_is_dropped_is_no_longer_held(tmp_path: Path) -> None:
    searched = Searched(tmp_path, None)
    held = []
    for number, value in enumerate([0.1, 0.5, 0.3, 0.7], start=1):
        searched.train(f"t{number:04}", value, mib=1)
        held.append(searched.held_mib)
        searched.end(f"t{number:04}")
        held.append(searched.held_mib)
    # the baseline keeps its best, and the best of all both
    assert held == [2, 2, 4, 3, 5, 3, 5, 3]
    files = sum(file.stat().st_size for file in searched.store.folder.rglob("*") if file.is_file())
    assert abs(searched.budget.held_bytes - files) < 100  # the lock
    searched.begin(None)
    assert abs(searched.budget.held_bytes - files) < 100  # the lock


@pytest.mark.usefixtures("free_mib")
def test_a_folder_that_has_its_share_stops_the_search_once_and_for_all(tmp_path: Path) -> None:
    searched = Searched(tmp_path, 10 / 1024)
    searched.train("t0001", 0.1, mib=1)
    assert searched.budget.used_up() == ""  # 2 are taken, 2 needed for the next
    searched.train("t0002", 0.2, mib=2)
    told = searched.budget.used_up()
    assert told.startswith("disk: 6 MiB of 0.00977 GiB are taken, 8 MiB needed for the next checkpoints; more: `tuner")
    searched.end("t0002")
    searched.store.drop_checkpoint(searched.store.last_checkpoint("t0001"))
    assert searched.budget.used_up() == told
    searched.begin(1)
    assert searched.budget.used_up() == ""


def test_a_disk_keeps_a_reserve(tmp_path: Path, free_mib: FreeMib) -> None:
    searched = Searched(tmp_path, None)
    searched.train("t0001", 0.1, mib=1)
    free_mib(52.5)
    assert searched.budget.used_up() == ""  # 50, a twentieth of the disk, and 2
    free_mib(51.5)
    assert searched.budget.used_up() == "disk: 51.5 MiB free, 52 MiB needed: free some and `tuner resume`"


def test_a_search_that_cannot_fit_is_refused_with_the_figures(tmp_path: Path, free_mib: FreeMib) -> None:
    folder = tmp_path / "results" / "new"  # not there yet
    each, top_k, workers = 10 * MIB, 3, 4
    require_room(folder, 120 / 1024, each, top_k, workers)
    with pytest.raises(UserError) as caught:
        require_room(folder, 0.05, each, top_k, workers)
    assert caught.value.mistakes == (
        "--disk-gib 0.05: checkpoints take up to 120 MiB: 10 MiB for each of the best 3, the baseline, and 4 trials at "
        "once, twice as they are replaced; give more, lower --top or --workers, or freeze more",
    )
    free_mib(169)
    with pytest.raises(UserError, match=r"and 50 MiB stay free, but there are 169 MiB; free some, give another place"):
        require_room(folder, None, each, top_k, workers)
    (folder / "checkpoints" / "t0001").mkdir(parents=True)
    (folder / "checkpoints" / "t0001" / "best.pt").write_bytes(bytes(MIB))
    require_room(folder, None, each, top_k, workers)  # that one is one of them


def test_the_reserve_of_a_large_disk_is_a_gib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_budget.shutil, "disk_usage", lambda _: Usage(1000 * GIB, 0, GIB))
    assert disk_budget.reserve_bytes(tmp_path) == GIB


def test_what_is_frozen_takes_no_room(tmp_path: Path) -> None:
    of_all, of_half = (
        checkpoints_bytes(load_space(str(write_space(tmp_path / f"{number}.yaml", tiny_space(axes=axes)))), labels=3)
        for number, axes in enumerate(
            ({"freeze": {"choice": [0, 2]}}, {"freeze": {"choice": [2, "all"]}}),
        )
    )
    assert 0 < of_half < of_all
