from __future__ import annotations

from pathlib import Path

import pytest
from told_page import ToldSearch


@pytest.fixture
def told(tmp_path: Path) -> ToldSearch:
    """Still running."""
    return ToldSearch(tmp_path)
