from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_sets import MakeImages, manifest_of

from trainable.data.inspection import Inspection, drop_rare_labels, exclude, inspect
from trainable.data.manifest import Manifest, Task, read_manifest
from trainable.data.prepared import Scan, Scanned, scan_images


def scanned(manifest: Manifest) -> Scan:
    """A scan in which every image is readable and different."""
    found = {row.image: Scanned(row.image, 10 + row.line, 20, "RGB", None) for row in manifest.rows}
    return Scan("key", found)


def kinds(inspection: Inspection) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.kind, problem.row) for problem in inspection.problems]


def test_files_that_are_missing_or_broken(images: MakeImages, tmp_path: Path) -> None:
    root = images("a.png", "b.png", "c.png")
    (root / "b.png").write_bytes((root / "b.png").read_bytes()[:-40])
    (root / "labels.csv").write_text("image,label\na.png,x\nb.png,y\ngone.png,x\na.png,x\n")
    manifest = read_manifest(root)
    inspection = inspect(manifest, scan_images({row.image: row.path for row in manifest.rows}, [4], tmp_path))
    assert kinds(inspection) == [
        ("error", "unreadable", "b.png (line 3)"),
        ("error", "missing", "gone.png (line 4)"),
        ("warning", "duplicate_row", "a.png (line 5)"),
    ]
    assert all("--skip-unreadable" in problem.message for problem in inspection.errors)
    assert (inspection.sizes, inspection.modes) == ({"min": (6, 4), "median": (6, 4), "max": (6, 4)}, {"RGB": 1})
    rest = exclude(manifest, {"b.png", "gone.png"})
    assert [row.image for row in rest.rows] == ["a.png"]
    assert rest.labels == ("x", "y")


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_rows_without_and_with_several_labels(task: Task) -> None:
    manifest = manifest_of({"a": ("x",), "b": (), "c": ("x", "y")}, task=task)
    inspection = inspect(manifest, scanned(manifest))
    assert inspection.unlabelled == 1
    expected = [("error", "unlabelled", "b (line 3)"), ("error", "several_labels", "c (line 4)")]
    assert kinds(inspection) == (expected if task == "multiclass" else [])


def test_labels_that_differ_by_case_or_spaces() -> None:
    manifest = manifest_of({"a": ("hot dog",), "b": ("Hotdog",), "c": ("cat",)})
    problem = inspect(manifest, scanned(manifest)).errors[0]
    assert (problem.kind, problem.row) == ("similar_labels", "a (line 2)")
    assert "'Hotdog' and 'hot dog'" in problem.message


def test_a_rare_label_that_may_be_a_slip_of_another() -> None:
    labels = {f"{number:02}": ("elephant",) for number in range(9)} | {"x": ("elepahnt",), "y": ("cat",)}
    manifest = manifest_of(labels)
    (problem,) = inspect(manifest, scanned(manifest)).problems
    assert (problem.severity, problem.kind, problem.row) == ("warning", "label_variant", "x (line 11)")
    assert problem.message == "label 'elepahnt' (1 images) may be 'elephant' (9); spell them alike if so"


def test_splits_without_a_label_and_with_a_torn_group() -> None:
    manifest = manifest_of({"a": ("x",), "b": ("x",), "c": ("y",)}, groups={"a": "g", "b": "g"})
    inspection = inspect(manifest, scanned(manifest), {"a": "train", "b": "val", "c": "train"})
    assert kinds(inspection) == [("error", "absent_label", "y"), ("error", "group_straddles", "b (line 3)")]
    assert "--drop-rare-labels" in inspection.errors[0].message
    assert inspection.balance == {"x": {"train": 1, "val": 1}, "y": {"train": 1, "val": 0}}


def test_counts_lines_and_json() -> None:
    manifest = manifest_of({"a": ("x", "y"), "b": ("x", "y", "z"), "c": (), "d": ("x",)})
    inspection = inspect(manifest, scanned(manifest))
    assert inspection.together == {("x", "y"): 2, ("x", "z"): 1, ("y", "z"): 1}
    assert inspection.sizes == {"min": (12, 20), "median": (14, 20), "max": (15, 20)}
    assert inspection.lines() == [
        "Layout: test",
        "4 images, 3 labels, multilabel",
        "1 images without a label",
        "Sizes: min 12x20, median 14x20, max 15x20",
        "Modes: RGB 4",
        "label     all",
        "x           3",
        "y           2",
        "z           1",
        "Most often together: x + y 2, x + z 1, y + z 1",
    ]
    stored = json.loads(json.dumps(inspection.to_json()))
    assert stored["co_occurrence"] == [[3, 2, 1], [2, 2, 1], [1, 1, 1]]
    assert stored["balance"]["x"] == {"all": 3}


def test_many_problems_are_cut_short() -> None:
    manifest = manifest_of({f"{i:02}": () for i in range(25)} | {"x": ("x",), "y": ("y",)}, task="multiclass")
    lines = inspect(manifest, scanned(manifest)).lines()
    assert lines[-1] == "error: ... and 5 more"
    assert sum(line.startswith("error: ") for line in lines) == 21


@pytest.mark.parametrize(("task", "images"), [("multilabel", ["a", "b", "c"]), ("multiclass", ["a", "b"])])
def test_rare_labels_can_be_dropped(task: Task, images: list[str]) -> None:
    manifest = manifest_of({"a": ("x",), "b": ("x",), "c": ("rare",)}, task=task)
    rest, dropped = drop_rare_labels(manifest, 2)
    assert dropped == {"rare": 1}
    assert rest.labels == ("x",)
    assert [row.image for row in rest.rows] == images
    assert rest.rows[-1].labels == (() if task == "multilabel" else ("x",))
