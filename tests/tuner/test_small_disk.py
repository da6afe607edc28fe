"""A search whose disk is really full, twice: a file system of its own, filled and freed."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_searches import ROOT, search_without_ray, tiny_space, write_labels_csv, write_space
from small_trials import MEASURED

from tuner.config import SearchConfig, parse_options
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.run import run_search

SEED = 5


def in_a_mount_namespace(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=200,
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


def told(search: SearchRecord) -> dict[str, Any]:
    """What trials came to, without what is measured anew."""
    measured = {*MEASURED, "time"}
    epochs = {
        trial.id: [{name: told for name, told in vars(epoch).items() if name not in measured} for epoch in trial.epochs]
        for trial in search.trials
    }
    return {trial.id: (trial.config, trial.status, dict(trial.test), epochs[trial.id]) for trial in search.trials}


@pytest.mark.real
def test_nothing_finished_is_lost_and_the_end_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 3e-3, 1e-2]}}
    space = write_space(tmp_path / "space.yaml", tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2}))
    data = write_labels_csv(tmp_path / "data")
    ran = in_a_mount_namespace(sys.executable, ROOT / "tests" / "full_disk.py", tmp_path, SEED)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    logs = [[json.loads(line) for line in run["log"].splitlines()] for run in found["runs"]]

    assert len(logs) > 1
    for run, log in zip(found["runs"], logs, strict=True):
        assert "Traceback" not in run["err"], run["err"]
        told_of = [line for line in run["err"].splitlines() if "disk" in line]
        stopped = [event["reason"] for event in log if event["kind"] == "search_ended"][-1:]
        assert run["code"] == 0 or told_of or "disk" in stopped[0], run["err"]
        assert {trial.status for trial in replay(log).trials} <= {"complete", "paused", "running"}
    for earlier, later in itertools.pairwise(logs):
        assert later[: len(earlier)] == earlier
        ended = {event["trial"] for event in earlier if event.get("status") == "complete" and "trial" in event}
        begun_again = {event["trial"] for event in later[len(earlier) :] if event["kind"] == "trial_resumed"}
        assert not ended & begun_again

    search_without_ray(monkeypatch)
    options: dict[str, Any] = {"name": "undisturbed", "results": tmp_path / "other", "data": {"path": data}, "top_k": 1}
    undisturbed = run_search(parse_options(SearchConfig, space=str(space), **options)).record()
    assert replay(logs[-1]).status == "complete"
    assert told(replay(logs[-1])) == told(undisturbed)
    assert not [name for name in found["files"] if name.endswith((".partial", ".tmp"))]
    assert "small/conclusions.md" in found["files"]
