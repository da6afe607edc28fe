"""Small picture sets on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import MakeImages


@pytest.fixture
def images(tmp_path: Path) -> MakeImages:
    """images('a/1.png', ...) writes one small picture each, all different, below one folder and returns the folder."""
    root = tmp_path / "data"
    root.mkdir()

    def write(*names: str, width: int = 6, height: int = 4) -> Path:
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(sum(name.encode()) * 1000 + len(name)).integers(0, 256, (height, width, 3))
            Image.fromarray(noise.astype(np.uint8)).save(path)
        return root

    return write
