"""The home, caches and threads of a fresh machine for every test."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from own_environment import OWN
from small_trials import learnt_weights

from trainable.weights import Weights

# no test may fail because the machine is busy with something else
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nobody's own settings, trackers and tokens have a part in a test, or are changed by one.

    Searches of tests that are about something else start no process for TensorBoard.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in OWN:
            patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("THAW_TRACKING", "off")
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("THAW_CACHE", str(cache))
    return cache


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder of this test alone, and no torch cache beside it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("THAW_WEIGHTS", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


@pytest.fixture(scope="session")
def weights_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Weights]:
    """weights_of("resnet18"): weights that tell images apart, as pretrained ones do; made once a session."""
    folder = tmp_path_factory.mktemp("learnt")
    return functools.cache(lambda backbone: learnt_weights(backbone, folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `fast` what has no other mark."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("real", "long")):
            item.add_marker("fast")
