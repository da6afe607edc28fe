"""`tuner check` of a cluster's file, alone and beside a space."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_clusters import ROOT, filled
from small_searches import MakeSpace, RunTuner


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    file = tmp_path / "cluster.yaml"
    file.write_text(filled("cluster.yaml"))
    return file


def test_a_cluster_is_checked_by_itself(cluster: Path, run_tuner: RunTuner) -> None:
    ran = run_tuner("check", "--cluster", cluster)
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"{cluster}: aws, up to 4 workers; head (0 CPUs, 0 GPUs), gpu (4 CPUs, 1 GPU of 22 GiB)",
        "ok",
    ]


def test_what_no_node_can_hold_is_a_mistake(cluster: Path, run_tuner: RunTuner) -> None:
    ran = run_tuner("check", "--cluster", cluster, "--gpus-per-trial", "2")
    assert ran.code == 2
    assert ran.err.startswith("error: --gpus-per-trial 2: no node type of ")
    assert run_tuner("check", "--cluster", cluster, "--gpus-per-trial", "1.5").code == 2


def test_mistakes_of_space_and_cluster_are_told_together(
    cluster: Path, make_space: MakeSpace, run_tuner: RunTuner
) -> None:
    cluster.write_text(cluster.read_text().replace("GPU: 1,", "GPU: 0.5,"))
    ran = run_tuner("check", make_space(objective="f9"), "--offline", "--cluster", cluster, "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["ok"]) == (2, False)
    assert any("GPU" in line for line in found["mistakes"])
    assert any("f9" in line for line in found["mistakes"])


def test_nothing_to_check_is_a_mistake(run_tuner: RunTuner) -> None:
    ran = run_tuner("check")
    assert (ran.code, ran.err) == (2, "error: nothing to check: give a space, --cluster FILE, or both\n")
