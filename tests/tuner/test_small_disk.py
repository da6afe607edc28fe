"""A search whose disk is really full, twice: a file system of its own, filled and freed."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_searches import ROOT

SEED = 5
"""of the moments; first a write is refused, then the search sees the disk fill up"""


def in_a_mount_namespace(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
    )


@pytest.fixture(autouse=True)
def _may_mount() -> None:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("a file system of a test's own needs root and unshare")
    refused = in_a_mount_namespace("mount", "-t", "tmpfs", "tmpfs", "/mnt")
    if refused.returncode:
        pytest.skip(f"no file system can be mounted here: {refused.stderr.strip()}")


@pytest.mark.real
def test_nothing_finished_is_lost_and_the_end_is_the_same(tmp_path: Path) -> None:
    ran = in_a_mount_namespace(sys.executable, ROOT / "tests" / "full_disk.py", tmp_path, SEED)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    for run in found["runs"][:-1]:
        assert run["warnings"] == []
        assert set(run["statuses"]) <= {"complete", "paused", "running"}
        assert "disk" in run["reason"] or "No space left" in run["error"]
    for earlier, later in itertools.pairwise(found["runs"]):
        assert earlier["finished"].items() <= later["finished"].items()
    assert (found["runs"][-1]["status"], found["runs"][-1]["error"]) == ("complete", "")
    assert found["same"]
    assert "conclusions.md" in found["files"]
    assert not [name for name in found["files"] if name.endswith((".partial", ".tmp"))]
