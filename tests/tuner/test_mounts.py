"""Which folders other machines may see."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tuner.mounts import is_shared


@pytest.fixture(autouse=True)
def _mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = {"/": "ext4", str(tmp_path / "nfs"): "nfs4", str(tmp_path / "nfs" / "scratch"): "xfs"}
    mounts |= {str(tmp_path / "bucket"): "fuse.s3fs"}
    told = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in mounts.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: told)  # noqa: ARG005


@pytest.mark.parametrize(
    ("folder", "shared"),
    [("results", False), ("nfs", True), ("nfs/a/b", True), ("nfs/scratch/a", False), ("bucket/a", True)],
)
def test_the_nearest_mount_above_decides(folder: str, shared: bool, tmp_path: Path) -> None:
    assert is_shared(tmp_path / folder) is shared
