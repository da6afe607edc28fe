from __future__ import annotations

from pathlib import Path

import pytest
from small_predictions import PredictedSearch


@pytest.fixture
def search(tmp_path: Path) -> PredictedSearch:
    return PredictedSearch(tmp_path)
