"""A search whose thresholds are fitted, to ship from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_searches import search_without_ray, tiny_space, write_space

from tuner.result import Result, load, search


@pytest.fixture(scope="session")
def _fitted(labels_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("fitted")
    fixed = tiny_space()["fixed"] | {"thresholds": "fitted"}
    space = write_space(folder / "tiny.yaml", tiny_space(fixed=fixed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        search_without_ray(patch)
        return search(space, labels_csv, "fitted", trials=2, top_k=2, results=folder / "results")


@pytest.fixture
def fitted(_fitted: Result, tmp_path: Path) -> Result:
    """A finished search of two trials, the test's own copy."""
    return load(shutil.copytree(_fitted.store.folder, tmp_path / "results" / "fitted"))
