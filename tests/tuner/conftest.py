"""Data sets and spaces of a test's own, and the command line in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_searches import (
    MakeSpace,
    RunTuner,
    tiny_space,
    tuner_in_process,
    write_class_folders,
    write_labels_csv,
    write_space,
)


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
def run_tuner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunTuner:
    return tuner_in_process(monkeypatch, capsys)
