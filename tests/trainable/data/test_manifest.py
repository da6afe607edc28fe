from __future__ import annotations

from pathlib import Path

import pytest
from small_sets import MakeImages

from trainable.data.manifest import read_manifest
from trainable.data.tables import _is_separator
from trainable.errors import UserError


def table(root: Path, text: str, name: str = "labels.csv") -> Path:
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def test_a_folder_per_class(images: MakeImages) -> None:
    root = images("cat/1.png", "cat/deep/2.png", "dog/1.JPG", "loose.png")
    (root / "empty").mkdir()
    manifest = read_manifest(root)
    assert [(row.image, row.labels, row.split, row.line) for row in manifest.rows] == [
        ("cat/1.png", ("cat",), None, 0),
        ("cat/deep/2.png", ("cat",), None, 0),
        ("dog/1.JPG", ("dog",), None, 0),
    ]
    assert (manifest.task, manifest.labels, manifest.layout) == (
        "multiclass",
        ("cat", "dog"),
        "a folder per class, 2 classes",
    )
    assert {(problem.kind, problem.row) for problem in manifest.problems} == {
        ("loose_image", "loose.png"),
        ("empty_folder", "empty"),
    }


def test_split_folders(images: MakeImages) -> None:
    root = images("train/cat/1.png", "train/dog/1.png", "Validation/cat/2.png", "test/dog/2.png")
    manifest = read_manifest(root)
    assert {row.image: row.split for row in manifest.rows} == {
        "train/cat/1.png": "train",
        "train/dog/1.png": "train",
        "Validation/cat/2.png": "val",
        "test/dog/2.png": "test",
    }
    assert manifest.labels == ("cat", "dog")


def test_a_class_called_test_is_a_class(images: MakeImages) -> None:
    assert read_manifest(images("test/1.png", "other/1.png")).labels == ("other", "test")


@pytest.mark.parametrize(
    ("text", "task", "labels"),
    [
        ("image,label\na.png,cat\nb.png,dog\n", "multiclass", [("cat",), ("dog",)]),
        ("filename;tags\na.png;cat|dog\nb.png;dog\nc.png;cat\n", "multilabel", [("cat", "dog"), ("dog",), ("cat",)]),
        ("path,tags\na.png,\"['x', 'y']\"\nb.png,[]\n", "multilabel", [("x", "y"), ()]),
        ('path,tags\na.png,"[""x"", ""y""]"\nb.png,[]\n', "multilabel", [("x", "y"), ()]),
        ("img,cat,dog\na.png,1,0\nb.png,1,1\nc.png,0,0\n", "multilabel", [("cat",), ("cat", "dog"), ()]),
        ("img,cat,dog\na.png,1.0,0.0\nb.png,0.0,1.0\n", "multiclass", [("cat",), ("dog",)]),
        ("image_id,defect\na,0\nb,1\n", "multilabel", [(), ("defect",)]),
    ],
)
def test_tables(images: MakeImages, text: str, task: str, labels: list[tuple[str, ...]]) -> None:
    manifest = read_manifest(table(images("a.png", "b.png", "c.png"), text))
    assert (manifest.task, [row.labels for row in manifest.rows]) == (task, labels)
    assert [row.image for row in manifest.rows] == ["a.png", "b.png", "c.png"][: len(labels)]
    assert not manifest.problems
    assert manifest.layout.startswith("CSV, one")


def test_parquet_with_lists_is_found_beside_its_images(images: MakeImages) -> None:
    import pandas as pd

    root = images("images/a.png", "images/b.png")
    frame = pd.DataFrame(
        {"image": ["images/a.png", "images/b.png"], "labels": [["x"], ["x", "y"]], "Split": ["TRAIN", "valid"]}
    )
    frame.to_parquet(root / "m.parquet")
    manifest = read_manifest(root)
    assert [(row.labels, row.split, row.line) for row in manifest.rows] == [
        (("x",), "train", 1),
        (("x", "y"), "val", 2),
    ]
    assert manifest.layout == "Parquet, one column 'labels' of lists of labels; Split column"


def test_split_group_and_ignored_columns_are_described(images: MakeImages) -> None:
    text = "image,label,split,group,width\na.png,x,train,g,6\nb.png,y,test,,6\n"
    manifest = read_manifest(table(images("a.png", "b.png"), text))
    assert [(row.split, row.group) for row in manifest.rows] == [("train", "g"), ("test", None)]
    assert manifest.layout == "CSV, one column 'label' of one label; split column; group column; ignored: width"


DOGS = ["golden retriever", "labrador retriever", "irish setter", "english setter", "poodle", "husky"]


@pytest.mark.parametrize(
    ("mark", "cells", "separates"),
    [
        (" ", DOGS * 5, False),
        (" ", ["red shirt", "red dress", "blue shirt", "blue dress", "black shirt", "black dress"], False),
        (",", ["pneumonia, viral", "pneumonia, bacterial", "normal"], False),
        (" ", ["a", "b", "c", "a b", "a c", "b c", "a b c"], True),
        (",", ["a,b,c", "a,b", "a", "b,c", "b", "a,c"], True),
        (",", ["a,b", "a", "b"], True),
        (" ", ["big cat", "big dog", "cat", "dog", "big"], False),
        ("|", ["a|b", "a", "b"], True),
        ("|", ["left|right", "other"], False),
    ],
)
def test_what_counts_as_a_separator(mark: str, cells: list[str], separates: bool) -> None:
    assert _is_separator(mark, cells) is separates


def test_names_with_spaces_stay_names_unless_told(images: MakeImages) -> None:
    rows = "".join(f"{number}.png,{name}\n" for number, name in enumerate(DOGS))
    path = table(images(), "image,label\n" + rows)
    manifest = read_manifest(path)
    assert manifest.task == "multiclass"
    assert "golden retriever" in manifest.labels
    assert "labels_separator" in manifest.problems[0].message
    assert not read_manifest(path, task="multiclass").problems
    assert read_manifest(path, labels_separator=" ").rows[0].labels == ("golden", "retriever")
    assert read_manifest(path, task="multilabel").task == "multilabel"


def test_columns_can_be_named(images: MakeImages) -> None:
    path = table(images("a.png", "b.png"), "a,x,y,z\na.png,1,0,7\nb.png,1,1,8\n")
    manifest = read_manifest(path, image_column="a", label_column=["x", "y"])
    assert [row.labels for row in manifest.rows] == [("x",), ("x", "y")]
    assert "ignored: z" in manifest.layout


def test_paths_outside_absolute_with_backslashes_and_without_suffix(images: MakeImages, tmp_path: Path) -> None:
    root = images("a.png", "sub/b.png", "c.jpg")
    outside = tmp_path / "outside.png"
    outside.write_bytes((root / "a.png").read_bytes())
    manifest = read_manifest(table(root, f"image,label\n{outside},x\n./a.png,y\nsub\\b.png,x\nc,y\ngone.png,x\n"))
    assert {row.image for row in manifest.rows} == {"a.png", "sub/b.png", "c.jpg", "gone.png", outside.as_posix()}


def test_duplicate_and_ragged_rows_are_problems(images: MakeImages) -> None:
    path = table(images(), "image,label\na.png,x\n\na.png,x\nb.png,y\nb.png,x\n,x\nc.png,x,y\n")
    found = {(problem.severity, problem.kind, problem.row) for problem in read_manifest(path).problems}
    assert found == {
        ("warning", "duplicate_row", "a.png (line 4)"),
        ("error", "duplicate_row", "b.png (line 6)"),
        ("error", "no_image", "line 7"),
        ("error", "ragged_row", "line 8"),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image,label\n", "no rows"),
        ("name,label\na,b\n", "no image column"),
        ("image,split\na,train\n", "label column"),
        ("image,label,split\na,x,holdout\n", "'holdout'"),
        ("image,label,label\na,x,y\n", "occurs twice"),
        ("image,cat,dog,cow\na,1,0,1\nb,0,2,1\n", "dog is '2'"),
        ("image,a,b\nx,red,blue\n", "label_column"),
        ("image,file,label\nx,y,z\n", "image or file"),
        ("image,label\na,x\nb,x\n", "only class is 'x'"),
        ("image,label\na,\nb,\n", "no row has a label"),
    ],
)
def test_tables_that_cannot_be_read(images: MakeImages, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_manifest(table(images(), text))


def test_a_mistyped_column_names_the_nearest(images: MakeImages) -> None:
    with pytest.raises(UserError, match="did you mean 'label'"):
        read_manifest(table(images(), "image,label\na,x\n"), label_column="lable")


def test_bytes_that_are_no_table(images: MakeImages) -> None:
    root = images()
    (root / "labels.csv").write_bytes(b"image,label\n\xff.png,x\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_manifest(root)
    (root / "labels.csv").rename(root / "labels.parquet")
    with pytest.raises(UserError, match="not a readable Parquet"):
        read_manifest(root)


def test_folders_that_cannot_be_read(images: MakeImages, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_manifest(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images found"):
        read_manifest(tmp_path / "empty")
    root = images("train/cat/1.png", "train/dog/1.png", "extra/cat/1.png")
    with pytest.raises(UserError, match="extra is not"):
        read_manifest(root)
    with pytest.raises(UserError, match="unknown split folder"):
        read_manifest(root, layout="split_folders")
    assert read_manifest(root, layout="folders").labels == ("extra", "train")


def test_a_table_beside_class_folders_is_ambiguous(images: MakeImages) -> None:
    root = images("cat/1.png", "dog/1.png")
    path = table(root, "image,label\ncat/1.png,x\ndog/1.png,y\n")
    with pytest.raises(UserError, match="could be the manifest"):
        read_manifest(root)
    assert read_manifest(path).labels == ("x", "y")
    assert read_manifest(root, layout="folders").labels == ("cat", "dog")
    table(root, "image,label\n", "other.csv")
    with pytest.raises(UserError, match=r"several tables \(labels.csv, other.csv\)"):
        read_manifest(root)


def test_several_labels_in_a_cell_are_refused_as_classes(images: MakeImages) -> None:
    path = table(images(), "image,label\n0.png,cat;dog\n1.png,dog\n2.png,cat\n")
    with pytest.raises(UserError, match="multi-class has one an image; set the task to multilabel"):
        read_manifest(path, task="multiclass")
    assert "cat;dog" in read_manifest(path, task="multiclass", layout="class_column").labels
