"""From a data path to rows that may be trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from trainable.errors import UserError
from tuner.config import DataConfig
from tuner.preparation import examine, prepare


@pytest.fixture
def data(labels_csv: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(labels_csv.parent, tmp_path / "data") / "labels.csv"


def test_clean_data_are_split_and_hashed(labels_csv: Path) -> None:
    prepared = prepare(examine(DataConfig(path=labels_csv), (32,)))
    assert (prepared.task, prepared.labels) == ("multilabel", ("blue", "green", "red"))
    assert prepared.root == labels_csv.parent
    assert prepared.inspection.split_sizes == {"train": 28, "val": 6, "test": 6}
    assert prepared.hash == prepare(examine(DataConfig(path=labels_csv))).hash
    other = prepare(examine(DataConfig(path=labels_csv, data_seed=1)))
    assert other.hash != prepared.hash


def test_a_split_without_test(labels_csv: Path) -> None:
    prepared = prepare(examine(DataConfig(path=labels_csv, split="75/25")))
    assert set(prepared.inspection.split_sizes) == {"train", "val"}


def test_every_problem_is_a_line_of_its_own(data: Path) -> None:
    for number in (3, 5):
        (data.parent / "images" / f"{number:03}.png").unlink()
    (data.parent / "images" / "007.png").write_bytes(b"no image")
    with pytest.raises(UserError) as caught:
        prepare(examine(DataConfig(path=data)))
    assert [mistake.partition(" ")[0] for mistake in caught.value.mistakes] == [
        "images/003.png",
        "images/005.png",
        "images/007.png",
    ]


def test_of_many_problems_the_first_are_listed_and_the_rest_counted(data: Path) -> None:
    for number in range(25):
        (data.parent / "images" / f"{number:03}.png").unlink()
    with pytest.raises(UserError) as caught:
        prepare(examine(DataConfig(path=data)))
    assert len(caught.value.mistakes) == 21
    assert caught.value.mistakes[-1] == f"and 5 more; `tuner inspect {data}` lists all"


def test_broken_images_are_left_out_on_request_only(data: Path) -> None:
    (data.parent / "images" / "003.png").write_bytes(b"no image")
    prepared = prepare(examine(DataConfig(path=data, skip_unreadable=True)))
    assert len(prepared.rows) == 39
    assert list(prepared.left_out) == ["images/003.png"]


def test_rare_labels_are_left_out_on_request(data: Path) -> None:
    lines = data.read_text().splitlines()
    lines[1] += ";rare"
    data.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="--drop-rare-labels"):
        prepare(examine(DataConfig(path=data)))
    prepared = prepare(examine(DataConfig(path=data, drop_rare_labels=2)))
    assert prepared.labels == ("blue", "green", "red")
    assert prepared.left_out == {"rare": "label with 1 positives"}
    assert len(prepared.rows) == 40


def test_strict_data_stop_at_a_copy_in_another_split(data: Path) -> None:
    """The copy is of another format; the table gives the split."""
    lines = data.read_text().splitlines()
    copied = data.parent / lines[1].split(",")[0]
    with Image.open(copied) as picture:
        picture.save(copied.with_name("copy.bmp"))
    splits = ["split", *("train" if number % 4 else "val" for number in range(1, len(lines)))]
    rows = [f"{line},{split}" for line, split in zip(lines, splits, strict=True)]
    data.write_text("\n".join([*rows, f"images/copy.bmp,{lines[1].split(',')[1]},val"]) + "\n")
    examined = examine(DataConfig(path=data))
    assert [(one.image, one.kind, one.across) for one in examined.inspection.duplicates if "copy" in one.image] == [
        ("images/copy.bmp", "near", True)
    ]
    prepare(examined)
    with pytest.raises(UserError, match=r"looks like .*--strict-data"):
        prepare(examine(DataConfig(path=data, strict_data=True)))
