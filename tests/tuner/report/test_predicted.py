from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from trainable.errors import UserError
from trainable.labelling import Prediction
from tuner.report.predicted import FORMATS, image_files

LABELS = ("no, really", "red")
PREDICTIONS = [
    Prediction(Path("a.png"), ("no, really", "red"), {"no, really": 0.75, "red": 0.5}),
    Prediction(Path('odd "name".png'), (), {"no, really": 1e-9, "red": 0.25}),
]


def test_csv_has_a_column_a_label() -> None:
    rows = list(csv.reader(io.StringIO(FORMATS["csv"](PREDICTIONS, LABELS))))
    assert rows == [
        ["image", "labels", "no, really", "red"],
        ["a.png", "no, really;red", "0.750000", "0.500000"],
        ['odd "name".png', "", "0.000000", "0.250000"],
    ]


def test_json_has_all_probabilities() -> None:
    first, second = json.loads(FORMATS["json"](PREDICTIONS, LABELS))
    assert first == {
        "image": "a.png",
        "labels": ["no, really", "red"],
        "probabilities": {"no, really": 0.75, "red": 0.5},
    }
    assert second["labels"] == []


def test_files_as_given_and_folders_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "deep/c.webp"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    single = tmp_path / "picture"
    single.touch()
    found = image_files([single, tmp_path / "images"])
    assert found == [single, *(tmp_path / "images" / name for name in ("a.JPG", "b.png", "deep/c.webp"))]


def test_what_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file or folder"):
        image_files([tmp_path / "missing.png"])
    with pytest.raises(UserError, match="no images in this folder"):
        image_files([tmp_path])
