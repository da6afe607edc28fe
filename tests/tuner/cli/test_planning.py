"""`tuner plan`, and limits and budgets on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from small_searches import MakeSpace, RunTuner, tiny_space


def test_a_plan_tells_trials_epochs_hours_disk_and_memory(
    run_tuner: RunTuner, make_space: MakeSpace, labels_csv: Path, tmp_path: Path
) -> None:
    ran = run_tuner("plan", make_space(), "--data", labels_csv, "--trials", 7, "--workers", 1)
    assert (ran.code, ran.err) == (0, "")
    assert "space: 7 trials (random, none); 28 train, 6 val, 6 test, 3 labels" in ran.out
    assert re.search(r"^timm:test_resnet +32 ", ran.out, re.MULTILINE)
    assert re.search(r"^2 +7\.0$", ran.out, re.MULTILINE)
    assert "14 epochs in all; 14 if no trial were halted" in ran.out
    assert re.search(r"^features shared +\S+ +\S+ s +\w{3} \d\d:\d\d$", ran.out, re.MULTILINE)
    for part in ("disk: decoded images", "memory: at most", "basis: backbones measured on this cpu, 1 thread a trial"):
        assert part in ran.out
    assert not (tmp_path / "results").exists()


def test_a_plan_as_json_adds_up(run_tuner: RunTuner, make_space: MakeSpace, labels_csv: Path) -> None:
    halved = {"kind": "asha", "grace_epochs": 1}
    space = make_space(scheduler=halved, fixed={**tiny_space()["fixed"], "epochs": 9})
    ran = run_tuner("plan", space, "--data", labels_csv, "--trials", 9, "--json")
    plan = json.loads(ran.out)
    assert plan["shared"]["trials"] == 9
    assert plan["epochs_unhalved"] == 81
    assert plan["shared"]["epochs"] < 81
    assert list(plan["shared"]["trials_by_epochs"]) == ["1", "3", "9"]
    assert plan["shared"]["trial_seconds"] < plan["unshared"]["trial_seconds"]
    (backbone,) = plan["backbones"]
    assert sum(block["parameters"] for block in backbone["blocks"]) == backbone["parameters"]
    assert {row["frozen"] for row in plan["memory"]} == {0, 2, 5}


def test_a_plan_needs_no_weights_but_a_valid_space(
    run_tuner: RunTuner, make_space: MakeSpace, labels_csv: Path, weights_folder: Path
) -> None:
    fixed = {**tiny_space()["fixed"], "pretrained": True}
    assert run_tuner("plan", make_space(fixed=fixed), "--data", labels_csv, "--trials", 1).code == 0
    assert list(weights_folder.iterdir()) == []
    refused = run_tuner("plan", make_space(objective="f9"), "--data", labels_csv)
    assert (refused.code, refused.out) == (2, "")


@pytest.mark.parametrize("command", ["plan", "search"])
@pytest.mark.usefixtures("_without_ray")
def test_gpu_hours_are_refused_without_a_gpu(
    run_tuner: RunTuner, make_space: MakeSpace, labels_csv: Path, tmp_path: Path, command: str
) -> None:
    results = ("--results", tmp_path / "results") if command == "search" else ()
    ran = run_tuner(command, make_space(), "--data", labels_csv, "--gpu-hours", 2, *results)
    assert ran.code == 2
    assert ran.err == "error: gpu_hours 2: no trial has a GPU here; limit the time with --hours\n"
    assert not (tmp_path / "results").exists()


def test_hours_end_a_plan_early(run_tuner: RunTuner, make_space: MakeSpace, labels_csv: Path) -> None:
    ran = run_tuner("plan", make_space(), "--data", labels_csv, "--trials", 50, "--hours", 0.00001, "--json")
    shared = json.loads(ran.out)["shared"]
    assert shared["cut_short"]
    assert shared["trials"] < 50


def test_check_names_what_limits_rule_out(run_tuner: RunTuner, make_space: MakeSpace) -> None:
    fixed = {name: value for name, value in tiny_space()["fixed"].items() if name != "backbone"}
    tiny = tiny_space()["fixed"]["backbone"]
    axes = {"backbone": {"choice": [tiny, "resnet18"]}}
    space = make_space(fixed=fixed, axes=axes, baseline={"backbone": tiny, "freeze": 2}, limits={"parameters_m": 1.5})
    line = "resnet18 at 32 px is never trained: 11.2 M parameters (limits.parameters_m 1.5)"
    assert f"limit: {line}\n" in run_tuner("check", space, "--offline").out
    assert json.loads(run_tuner("check", space, "--offline", "--json").out)["never_trained"] == [line]


def test_a_baseline_beyond_the_limits_is_refused_with_the_least_there_is(
    run_tuner: RunTuner, make_space: MakeSpace
) -> None:
    ran = run_tuner("check", make_space(limits={"parameters_m": 0.01}))
    assert ran.code == 2
    baseline, nothing_left = ran.err.splitlines()
    assert "baseline: takes 0.373 M parameters (limits.parameters_m 0.01)" in baseline
    assert nothing_left.endswith("the least that there is: 0.373 M parameters (timm:test_resnet at 32 px)")
    unknown = run_tuner("check", make_space(limits={"latency": 3}))
    assert unknown.code == 2
    assert "latency" in unknown.err
