"""The same picture twice."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from small_sets import MakeImages, manifest_of

from trainable.data.decoding import decode
from trainable.data.duplicates import Duplicate, duplicate_problems, find_duplicates
from trainable.data.looks import LOOK_SIZE, Looks, describe
from trainable.data.manifest import read_manifest
from trainable.data.prepared import scan_images


def picture(seed: int, side: int = 120) -> Image.Image:
    """Shapes in colours on a ground that shades from side to side, as pictures have."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 80, side)[None, :, None] + rng.uniform(0, 150, (1, 1, 3))
    drawn = Image.fromarray(np.broadcast_to(ramp, (side, side, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    for _ in range(8):
        left, top = rng.integers(0, side - 20, 2)
        width, height = rng.integers(15, side // 2, 2)
        box = (int(left), int(top), int(left + width), int(top + height))
        pen.ellipse(box, fill=tuple(int(level) for level in rng.integers(0, 256, 3)))
    return drawn


def encoded(image: Image.Image, suffix: str = "PNG", **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def looks_of(*files: bytes) -> Looks:
    return describe(np.stack([decode(file, [LOOK_SIZE]).pictures[0] for file in files]))


def pairs(files: Mapping[str, bytes], splits: Mapping[str, str] | None = None) -> list[tuple[str, str, str]]:
    manifest = manifest_of(dict.fromkeys(files, ("x",)))
    shas = {name: str(hash(data)) for name, data in files.items()}
    found = find_duplicates(manifest, shas, looks_of(*files.values()), splits)
    return [(one.image, one.twin, one.kind) for one in found]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("scale", "suffix", "options"),
    [
        (1.0, "JPEG", {"quality": 40}),
        (1.0, "WEBP", {"quality": 60}),
        (0.5, "PNG", {}),
        (0.6, "JPEG", {"quality": 70}),
        (2.0, "JPEG", {"quality": 85}),
    ],
)
def test_a_copy_in_another_size_or_encoding_is_found(
    seed: int, scale: float, suffix: str, options: dict[str, int]
) -> None:
    original = picture(seed)
    side = round(scale * original.width)
    files = {
        "a": encoded(original),
        "b": encoded(original.resize((side, side), Image.Resampling.BILINEAR), suffix, **options),
        "other": encoded(picture(seed + 100)),
    }
    assert pairs(files) == [("b", "a", "near")]


def test_a_picture_in_which_one_thing_is_drawn_otherwise_is_another_one() -> None:
    face, frown = picture(1), picture(1)
    ImageDraw.Draw(frown).ellipse((50, 50, 62, 62), fill=(0, 0, 0))
    assert pairs({"a": encoded(face), "b": encoded(frown)}) == []


def test_a_picture_with_a_slightly_darker_face_is_another_one() -> None:
    pixels = np.asarray(picture(1)).clip(7)
    darker = pixels.copy()
    darker[45:75, 45:75] -= 7
    assert pairs({"a": encoded(Image.fromarray(pixels)), "b": encoded(Image.fromarray(darker))}) == []


def test_a_picture_in_another_colour_of_the_same_brightness_is_another_one() -> None:
    red, green = (Image.new("RGB", (64, 64), colour) for colour in ((200, 60, 60), (60, 131, 60)))
    for image in (red, green):
        ImageDraw.Draw(image).rectangle((10, 10, 30, 50), fill=(255, 255, 255))
    assert pairs({"a": encoded(red), "b": encoded(green)}) == []


def test_dark_pictures_are_told_apart_by_what_little_they_show() -> None:
    dark = [Image.fromarray((np.asarray(picture(seed)) // 20).astype(np.uint8)) for seed in (1, 2)]
    assert pairs({"a": encoded(dark[0]), "b": encoded(dark[1])}) == []
    assert pairs({"a": encoded(dark[0]), "b": encoded(dark[0], "JPEG", quality=90)}) == [("b", "a", "near")]


def test_equal_files_are_exact_and_a_twin_in_another_split_matters_most() -> None:
    original = encoded(picture(1))
    smaller = encoded(picture(1).resize((70, 70)))
    files = {"a": original, "b": original, "c": smaller}
    assert pairs(files) == [("b", "a", "exact"), ("c", "a", "near")]
    assert pairs(files, {"a": "train", "b": "val", "c": "train"}) == [("b", "a", "exact"), ("c", "b", "near")]
    assert pairs(files, {"a": "train", "b": "train", "c": "train"}) == [("b", "a", "exact"), ("c", "a", "near")]


def test_many_copies_of_one_picture_are_each_told_once() -> None:
    shown = [encoded(picture(seed, side=LOOK_SIZE)) for seed in (1, 2)]
    files = {f"{number:04}": shown[number // 300] for number in range(600)}
    found = pairs(files)
    assert len(found) == 598
    assert {twin for _, twin, _ in found} == {"0000", "0300"}


def test_problems_name_both_images_and_the_splits() -> None:
    manifest = manifest_of({"a": ("x",), "b": ("x",), "c": ("y",)}, groups={"a": "g", "b": "g", "c": "g"})
    across = Duplicate("b", "a", "near", "val", "train", same_labels=True, same_group=True, difference=0.4)
    within = Duplicate("c", "a", "near", "train", "train", same_labels=False, same_group=True, difference=0.4)
    (problem,) = duplicate_problems(manifest, [across, within])
    assert (problem.severity, problem.kind, problem.row) == ("warning", "near_leak", "b (line 3)")
    assert "looks like a, which is in train, this one in val: scores would flatter" in problem.message


@pytest.mark.parametrize(("same_labels", "expected"), [(True, []), (False, ["same_content"])])
def test_equal_files_in_one_group_are_no_problem_unless_their_labels_differ(
    same_labels: bool, expected: list[str]
) -> None:
    manifest = manifest_of({"a": ("x",), "b": ("x",)}, groups={"a": "g", "b": "g"})
    twin = Duplicate("b", "a", "exact", "train", "train", same_labels=same_labels, same_group=True, difference=0)
    assert [problem.kind for problem in duplicate_problems(manifest, [twin])] == expected


def test_identical_files(images: MakeImages, tmp_path: Path) -> None:
    root = images("x/a.png", "y/b.png")
    shutil.copy(root / "x/a.png", root / "x/twin.png")
    shutil.copy(root / "x/a.png", root / "y/other.png")
    manifest = read_manifest(root)
    shas = scan_images({row.image: row.path for row in manifest.rows}, [4], tmp_path).sha256s
    found = list(duplicate_problems(manifest, find_duplicates(manifest, shas)))
    assert [(problem.kind, problem.row) for problem in found] == [
        ("same_content", "x/twin.png"),
        ("same_content", "y/other.png"),
    ]
    assert "other labels" in found[1].message
    splits = {"x/a.png": "train", "x/twin.png": "val", "y/b.png": "val", "y/other.png": "train"}
    across = duplicate_problems(manifest, find_duplicates(manifest, shas, splits=splits))
    assert [(problem.kind, problem.row) for problem in across] == [("leak", "x/twin.png"), ("leak", "y/other.png")]


def test_nothing_to_compare() -> None:
    assert len(describe(np.zeros((0, LOOK_SIZE, LOOK_SIZE, 3), np.uint8))) == 0
    assert find_duplicates(manifest_of({"a": ("x",)}), {}, None) == ()
