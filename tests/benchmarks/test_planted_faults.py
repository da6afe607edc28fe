"""The benchmark of planted faults, on drawings small and few enough for a test."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.planted_faults import KINDS, beside, deal, not_found, plant
from tuner.config import DataConfig
from tuner.preparation import examine


def draw(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (80, 80), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = rng.integers(0, 50, 2).tolist()
        pen.ellipse((left, top, left + 28, top + 22), fill=tuple(rng.integers(0, 256, 3).tolist()))
    image.save(path)


def test_faults_of_every_kind_are_found_and_nothing_else(tmp_path: Path) -> None:
    for number in range(60):
        folder = tmp_path / "source" / ("elephant", "giraffe")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        draw(folder / f"{number:02}.png", number)
    (tmp_path / "dealt").mkdir()
    rng = random.Random(0)
    planted = deal(tmp_path / "source", tmp_path / "dealt", rng)
    before = examine(DataConfig(path=planted.table)).inspection
    assert (before.images, before.problems) == (60, ())
    plant(planted, 12, rng)
    after = examine(DataConfig(path=planted.table))
    assert {kind: len(not_found(after, planted, kind)[0]) for kind in KINDS} == dict.fromkeys(KINDS, 2)
    assert {kind: not_found(after, planted, kind)[1] for kind in KINDS} == {kind: [] for kind in KINDS}
    assert beside(before, after.inspection, planted) == []
