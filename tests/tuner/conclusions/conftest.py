"""Tables on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[[str], Path]:
    """write_table("a,f1\\n...") writes table.csv."""

    def write(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write
