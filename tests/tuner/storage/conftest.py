from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from faulty_store import FaultyFileSystem, no_fault

from tuner.storage import objects


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def results() -> str:
    """The URL of a results folder in this process's memory."""
    return f"memory://{uuid.uuid4().hex}/results"


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> FaultyFileSystem:
    """The file system of `faulty://`, over the same objects as `memory://`; it does all that it is asked to, so far."""
    monkeypatch.setattr(objects, "FIRST_WAIT_SECONDS", 0.001)
    fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)
    found: FaultyFileSystem = fsspec.filesystem("faulty", use_listings_cache=False)
    found.fault = no_fault
    return found


@pytest.fixture
def on_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """on_machine("b"): from now on this process's working folders are those of that machine."""

    def move(name: str) -> None:
        monkeypatch.setenv("THAW_CACHE", str(tmp_path / f"cache-{name}"))

    return move
