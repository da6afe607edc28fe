"""Data sets and spaces of a test's own, and the command line in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_leftovers import GridOfFour, Left
from small_searches import (
    MakeSpace,
    RunTuner,
    search_without_ray,
    tiny_space,
    tuner_in_process,
    write_class_folders,
    write_labels_csv,
    write_space,
)

from tuner.result import Result, search
from tuner.run import run_search
from tuner.store import Event, Store


@pytest.fixture(scope="session")
def labels_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multi-label table of 40 images; not to be changed."""
    return write_labels_csv(tmp_path_factory.mktemp("labelled") / "data")


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images in a folder per class; not to be changed."""
    return write_class_folders(tmp_path_factory.mktemp("classes") / "data")


@pytest.fixture
def make_space(tmp_path: Path) -> MakeSpace:
    """make_space(axes=...) writes space.yaml: `tiny_space` with these sections."""

    def make(name: str = "space.yaml", **sections: Any) -> Path:
        return write_space(tmp_path / name, tiny_space(**sections))

    return make


@pytest.fixture
def _without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches run in this process, one trial after another."""
    search_without_ray(monkeypatch)


@pytest.fixture(scope="session")
def searched(labels_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A search of four trials that has been run; not to be changed."""
    folder = tmp_path_factory.mktemp("searched")
    space = write_space(folder / "tiny.yaml", tiny_space())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        search_without_ray(patch)
        return search(space, labels_csv, "searched", trials=4, top_k=2, results=folder / "results")


@pytest.fixture
def run_tuner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunTuner:
    return tuner_in_process(monkeypatch, capsys)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A finished search of four trials and two repeats; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        search_without_ray(patch)
        return run_search(GridOfFour(folder).config(folder / "results"))


@pytest.fixture
def left(whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Left:
    def cut(place: Callable[[list[Event]], int]) -> Store:
        shutil.copytree(whole.folder.parent.parent, tmp_path / "copy")
        store = Store(tmp_path / "copy" / "results" / "new")
        events = list(store.events())
        kept = [json.dumps(event) + "\n" for event in events[: place(events)]]
        store.events_jsonl.write_text("".join(kept) + '{"v": 1, "seq"')
        return store

    search_without_ray(monkeypatch)
    return cut
