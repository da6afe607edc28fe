"""docs/conclusions.md shows what the example tables really give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tuner.conclusions.conclude import conclude_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "conclusions.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```markdown\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("block", "table"), zip(BLOCKS, ["freeze_grid.csv", "f2_table.csv"], strict=True))
def test_outputs_are_the_true_ones(block: str, table: str) -> None:
    assert conclude_table(ROOT / "examples" / table) == block


def test_sentences_that_are_explained_are_among_the_outputs() -> None:
    for start in (
        "cosine - plateau: +0.33 ± 0.30 over 14 pairs",
        "freeze_blocks 6: -2.72 ± 0.44 against the mean of the",
    ):
        assert start in PAGE.partition("## Effects")[2]
        assert start in BLOCKS[0]
