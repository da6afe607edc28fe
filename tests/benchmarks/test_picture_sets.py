"""The picture sets of the benchmarks: folders of classes, filled in turn, flattened on white."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import datasets


def test_rare_classes_are_left_out_and_the_others_filled_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "PICTURES", 7)
    monkeypatch.setattr(datasets, "FEWEST", 3)
    drawings = tmp_path / "drawings"
    classes = {"rare": 2, "few": 3, "many": 9}
    of_class = {name: [drawings / name / f"{i}.png" for i in range(count)] for name, count in classes.items()}
    for file in itertools.chain(*of_class.values()):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGBA", (200, 100), (255, 0, 0, 0)).save(file)
    datasets.write_folders(of_class, drawings, tmp_path / "out")

    written = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "out").iterdir()}
    assert written == {"few": 3, "many": 4}
    with Image.open(tmp_path / "out" / "few" / "few-0.png") as picture:
        assert (picture.mode, picture.size, picture.getpixel((48, 48))) == ("RGB", (96, 96), (255, 255, 255))


def test_what_shows_as_a_man_or_a_woman_is_told_by_its_name() -> None:
    assert datasets.is_gendered("woman running")
    assert datasets.is_gendered("men holding hands")
    assert not datasets.is_gendered("person running")
    assert not datasets.is_gendered("mango")
    assert datasets.as_folder("Smileys & Emotion") == "smileys_emotion"
