"""docs/python.md: its blocks run in order, as in a notebook, on a tiny picture set."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from small_searches import write_labels_csv

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.real
def test_the_blocks_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_labels_csv(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # Ray's workers find the checkout from another folder too
    names: dict[str, object] = {}
    for number, block in enumerate(BLOCKS, start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    printed = capsys.readouterr().out
    frame = names["frame"]
    assert isinstance(frame, pd.DataFrame)
    assert sorted(frame["trial"]) == ["logistic_regression", "majority", "t0001", "t0002"]
    assert set(frame["status"]) == {"complete", "reference"}
    for told in ("nothing is overwritten", "# first: f1_macro (higher is better)", "torch.Size([2, 3])", "(6, 3)"):
        assert told in printed
