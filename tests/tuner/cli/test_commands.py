"""The command line: what it imports, and what its readers print."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_searches import MakeSpace, RunTuner, tiny_space

AXES = tiny_space()["axes"]
HEAVY = ("torch", "ray", "optuna", "timm", "pandas", "sklearn", "matplotlib")


def test_check_lists_mistakes_as_json(make_space: MakeSpace, run_tuner: RunTuner) -> None:
    ran = run_tuner("check", make_space(axes={**AXES, "freeze": {"choice": [2, 9]}}), "--json", "--offline")
    told = json.loads(ran.out)
    assert ran.code == 2
    assert not told["ok"]
    assert len(told["mistakes"]) == 1


def test_check_proves_a_space_and_its_data(make_space: MakeSpace, labels_csv: Path, run_tuner: RunTuner) -> None:
    ran = run_tuner("check", make_space(), "--data", labels_csv)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "ok"
    assert "multilabel, 3 labels; images: train 28, val 6, test 6" in ran.out


def test_inspect_prints_and_stops_on_errors(labels_csv: Path, tmp_path: Path, run_tuner: RunTuner) -> None:
    good = run_tuner("inspect", labels_csv)
    assert good.code == 0
    assert "40 images, 3 labels, multilabel" in good.out
    data = shutil.copytree(labels_csv.parent, tmp_path / "data")
    (data / "images" / "003.png").unlink()
    bad = run_tuner("inspect", data / "labels.csv")
    assert bad.code == 2
    assert "error: images/003.png (line 5)" in bad.out
    skipped = run_tuner("inspect", data / "labels.csv", "--skip-unreadable", "--json")
    assert skipped.code == 0
    assert json.loads(skipped.out)["left_out"] == {"images/003.png": "missing"}


def test_inspect_finds_a_copy_in_another_split_and_may_stop_at_it(
    class_folders: Path, tmp_path: Path, run_tuner: RunTuner
) -> None:
    root = tmp_path / "data"
    for split in ("train", "val"):
        shutil.copytree(class_folders, root / split)
    told = json.loads(run_tuner("inspect", root, "--json").out)
    assert len(told["duplicates"]) == 40
    assert all(one["across"] and one["kind"] == "exact" for one in told["duplicates"])
    assert (told["drift"], run_tuner("inspect", root).code) == ([], 0)
    strict = run_tuner("inspect", root, "--strict-data")
    assert strict.code == 2
    assert "Duplicates: 40 exact; 40 across splits" in strict.out


def test_ls_of_nothing(tmp_path: Path, run_tuner: RunTuner) -> None:
    assert run_tuner("ls", "--results", tmp_path).out == f"no searches in {tmp_path}\n"
    assert json.loads(run_tuner("ls", "--results", tmp_path, "--json").out) == []


def test_a_reader_that_goes_is_no_bug(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-m", "tuner.cli", "ls"],
        cwd=Path(__file__).parents[3],
        env={"PATH": "", "THAW_RESULTS": str(tmp_path)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, "")


def test_tuner_alone_is_its_help(run_tuner: RunTuner) -> None:
    ran = run_tuner()
    assert ran.code == 0
    assert "leaderboard" in ran.out


@pytest.mark.parametrize("arguments", [["--help"], ["spaces"], ["check", "--help"], ["search", "--help"], ["ls"]])
def test_nothing_heavy_is_imported(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        f"sys.argv = ['tuner', *{arguments!r}]\n"
        "from tuner.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={"PATH": "", "THAW_RESULTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "heavy: []"
    assert len(ran.stdout.splitlines()) > 1
