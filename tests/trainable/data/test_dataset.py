from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import MakeImages

from trainable.data import prepared
from trainable.data.dataset import ImageDataset, open_dataset
from trainable.data.manifest import Task
from trainable.data.prepared import scan_images
from trainable.data.splits import SplitRow, data_hash, read_splits, write_splits
from trainable.errors import UserError

LABELS = ("x", "y", "z")


def store(root: Path, folder: Path, task: Task = "multilabel") -> Path:
    """Four images: two train (one group), one val, one test."""
    labels = [("x", "y"), (), ("y",), ("z",)] if task == "multilabel" else [("x",), ("z",), ("y",), ("z",)]
    names = ("d.png", "b.png", "a.png", "c.png")
    scan = scan_images({name: root / name for name in names}, [5], folder / "cache")
    rows = [
        SplitRow(name, split, group, scan.sha256s[name], own)
        for name, split, group, own in zip(
            names, ("train", "train", "val", "test"), ("g", "g", "", "a.png"), labels, strict=True
        )
    ]
    write_splits(folder / "splits.csv", rows)
    return folder / "splits.csv"


def opened(root: Path, folder: Path, task: Task = "multilabel", size: int = 5) -> ImageDataset:
    return open_dataset(store(root, folder, task), root, LABELS, task, size, 7, folder / "cache")


@pytest.fixture
def root(images: MakeImages) -> Path:
    return images("a.png", "b.png", "c.png", "d.png")


def test_a_multilabel_dataset(root: Path, tmp_path: Path) -> None:
    data = opened(root, tmp_path)
    assert data.ids == ("a.png", "b.png", "c.png", "d.png")
    assert data.targets.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 0]]
    assert data.targets.dtype == np.float32
    assert {split: indices.tolist() for split, indices in data.split.items()} == {
        "train": [1, 3],
        "val": [0],
        "test": [2],
    }
    assert data.positives("train").tolist() == [1, 1, 0]
    assert data.groups[1] == data.groups[3]
    assert len(set(data.groups.tolist())) == 3  # a group called like an image is not that image's
    assert (data.data_seed, data.image_size, data.labels, len(data)) == (7, 5, LABELS, 4)
    assert data.data_hash == data_hash(read_splits(tmp_path / "splits.csv"), LABELS, "multilabel")


def test_the_images_hash_is_of_files_and_how_they_are_decoded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(root, tmp_path)
    assert first.images_hash == opened(root, tmp_path, "multiclass").images_hash  # labels and splits are no matter
    assert first.images_hash != opened(root, tmp_path, size=6).images_hash
    monkeypatch.setattr(prepared, "RESIZE_POLICY", "nearest")
    assert first.images_hash != opened(root, tmp_path).images_hash
    monkeypatch.undo()
    pixels = np.asarray(Image.open(root / "a.png")).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(root / "a.png")
    assert first.images_hash != opened(root, tmp_path).images_hash


def test_images_in_memory_are_known_by_their_pixels(root: Path, tmp_path: Path) -> None:
    data = dataclasses.replace(opened(root, tmp_path), files_hash=None)
    changed = data.images.copy()
    assert dataclasses.replace(data, images=changed).images_hash == data.images_hash
    changed[data.rows[2], 0, 0, 0] ^= 1
    assert dataclasses.replace(data, images=changed).images_hash != data.images_hash
    assert dataclasses.replace(data, rows=data.rows[::-1]).images_hash != data.images_hash


def test_a_multiclass_dataset(root: Path, tmp_path: Path) -> None:
    data = opened(root, tmp_path, "multiclass")
    assert data.targets.tolist() == [1, 2, 2, 0]
    assert data.targets.dtype == np.int64
    assert data.positives("train").tolist() == [1, 0, 1]


def test_a_batch_holds_the_images_asked_for(root: Path, tmp_path: Path) -> None:
    data = opened(root, tmp_path)
    batch = data.batch(np.array([3, 0, 3]))
    assert (batch.shape, batch.dtype) == ((3, 5, 5, 3), np.uint8)
    for picture, name in zip(batch, ("d.png", "a.png", "d.png"), strict=True):
        expected = Image.open(root / name).resize((5, 5), Image.Resampling.BICUBIC)
        assert np.array_equal(picture, np.asarray(expected))
    batch[:] = 0  # a copy: the cache is not touched
    assert data.batch(np.array([3])).any()


def test_prepared_images_need_neither_the_files_nor_a_decoder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(root, tmp_path)
    monkeypatch.setattr(prepared, "decode", None)
    assert len(open_dataset(path, tmp_path / "elsewhere", LABELS, "multilabel", 5, 0, tmp_path / "cache")) == 4


def test_another_machine_prepares_for_itself(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store(root, tmp_path)
    monkeypatch.setenv("THAW_CACHE", str(tmp_path / "node"))
    there = open_dataset(path, root, LABELS, "multilabel", 5, 0)
    here = open_dataset(path, root, LABELS, "multilabel", 5, 0, tmp_path / "cache")
    assert there.data_hash == here.data_hash
    assert np.array_equal(there.batch(np.arange(4)), here.batch(np.arange(4)))


def test_images_that_are_no_longer_what_was_split(root: Path, tmp_path: Path) -> None:
    path = store(root, tmp_path)
    Image.new("RGB", (3, 3)).save(root / "a.png")
    (root / "b.png").unlink()
    with pytest.raises(UserError) as caught:
        open_dataset(path, root, LABELS, "multilabel", 6, 0, tmp_path / "cache")
    assert "a.png: not the image that was split" in caught.value.mistakes[0]
    assert "b.png: missing" in caught.value.mistakes[1]


def test_an_unreadable_image_is_never_trained_on(root: Path, tmp_path: Path) -> None:
    (root / "c.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"c\.png: not an image file"):
        opened(root, tmp_path)


def test_rows_that_do_not_fit_the_labels(root: Path, tmp_path: Path) -> None:
    path = store(root, tmp_path)
    with pytest.raises(UserError, match=r"c\.png: label 'z'"):
        open_dataset(path, root, ("x", "y"), "multilabel", 5, 0, tmp_path / "cache")
    with pytest.raises(UserError, match=r"b\.png: 0 labels"):
        open_dataset(path, root, LABELS, "multiclass", 5, 0, tmp_path / "cache")


def test_an_empty_split(root: Path, tmp_path: Path) -> None:
    write_splits(tmp_path / "splits.csv", [])
    with pytest.raises(UserError, match="no rows"):
        open_dataset(tmp_path / "splits.csv", root, LABELS, "multilabel", 5, 0, tmp_path)


def test_a_dataset_can_be_made_of_plain_arrays(root: Path, tmp_path: Path) -> None:
    data = dataclasses.replace(opened(root, tmp_path), images=np.zeros((4, 5, 5, 3), np.uint8), prepared=None)
    assert not data.batch(np.arange(4)).any()
