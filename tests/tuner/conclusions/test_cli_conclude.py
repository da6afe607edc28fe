from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from small_searches import ROOT, RunTuner

GRID = ROOT / "examples" / "freeze_grid.csv"


def test_a_table_is_concluded(run_tuner: RunTuner) -> None:
    ran = run_tuner("conclude", GRID, "--metric", "recall_pct", "--ignore", "head", "--ignore", "precision_pct")
    assert (ran.code, ran.err) == (0, "")
    assert "freeze_blocks 6: " in ran.out


def test_mistakes_are_lines_and_exit_code_2(run_tuner: RunTuner, tmp_path: Path) -> None:
    ran = run_tuner("conclude", GRID, "--metric", "accuracy")
    assert (ran.code, ran.out) == (2, "")
    assert "--metric accuracy: no such column; did you mean 'accuracy_pct'?" in ran.err
    missing = run_tuner("conclude", tmp_path / "none.csv")
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    assert run_tuner("conclude", "nothing", "--results", tmp_path).code == 2
    assert "--metric and --ignore read" in run_tuner("conclude", "search", "--ignore", "head").err


def test_a_search_is_concluded_while_it_runs(run_tuner: RunTuner, tmp_path: Path) -> None:
    folder = tmp_path / "flowers"
    folder.mkdir()
    started = {"kind": "search_started", "name": "flowers", "objective": {"metric": "f1_macro"}, "sampler": "grid"}
    (folder / "events.jsonl").write_text(json.dumps(started) + "\n")
    ran = run_tuner("conclude", "flowers", "--results", tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("## Conclusions")


def test_a_table_needs_neither_torch_nor_ray_nor_optuna() -> None:
    code = (
        "import sys; from tuner.conclusions.conclude import conclude_table; "
        f"conclude_table({str(GRID)!r}); print({{'torch', 'ray', 'optuna'}} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
