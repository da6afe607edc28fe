"""The data of one search as arrays: decoded images, targets, groups and the indices of each split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainable.data.cache import cache_folder
from trainable.data.prepared import PreparedImages, open_images, recipe, scan_images
from trainable.data.splits import SPLITS, SplitRow, data_hash, read_splits
from trainable.errors import UserError
from trainable.task import Task


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images with targets. "Index" means the place in `ids`, which is sorted: the same on every machine.

    n images, L labels; `images` may hold more rows than the data set uses.
    """

    images: npt.NDArray[np.uint8]
    """[n_prepared, size, size, 3], memory-mapped."""
    rows: npt.NDArray[np.int64]
    """[n], row of `images` for each index."""
    ids: tuple[str, ...]
    """[n] image ids."""
    targets: npt.NDArray[np.float32] | npt.NDArray[np.int64]
    """Multi-label: float32 [n, L] of 0 and 1. Multi-class: int64 [n], places in `labels`."""
    labels: tuple[str, ...]
    task: Task
    groups: npt.NDArray[np.int64]
    """[n], equal for images of one group; an image without a group has a number of its own."""
    split: Mapping[str, npt.NDArray[np.int64]]
    """Ascending indices of each split that has any."""
    data_hash: str
    data_seed: int
    image_size: int
    """Pixels a side."""
    files_hash: str | None = None
    """Of the image files in index order and of how they are decoded; None for images that are not from files."""
    prepared: PreparedImages | None = field(default=None, repr=False)
    """Keeps the cache entry behind `images` from being dropped; None for images that are not from the cache."""

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images at these indices, copied: uint8 [b, size, size, 3]."""
        return np.asarray(self.images[self.rows[indices]])

    @cached_property
    def images_hash(self) -> str:
        """Equal for equal images in the same order at the same size."""
        if self.files_hash is not None:
            return self.files_hash
        found = hashlib.sha256(str(self.images.shape[1:]).encode())
        for row in self.rows:
            found.update(self.images[row].tobytes())
        return found.hexdigest()

    def positives(self, split: str) -> npt.NDArray[np.int64]:
        """Images per label in a split, int64 [L]; what class weights are made of."""
        targets = self.targets[self.split[split]]
        if self.task == "multiclass":
            return np.bincount(targets.astype(np.int64), minlength=len(self.labels))
        counts: npt.NDArray[np.int64] = np.count_nonzero(targets, axis=0)
        return counts


def open_dataset(
    splits_csv: Path,
    root: Path,
    labels: Sequence[str],
    task: Task,
    image_size: int,
    data_seed: int,
    cache: Path | None = None,
) -> ImageDataset:
    """The data set that a stored split describes; decodes the images first where this machine has not yet.

    `root` is the folder that image ids are relative to, `cache` defaults to `cache_folder()`. Raises UserError where an
    image is missing, unreadable or no longer the one that was split, or where a row does not fit `labels` and `task`.
    """
    rows = read_splits(splits_csv)
    if not rows:
        raise UserError(f"{splits_csv}: no rows; a data set has at least one image")
    prepared = _prepare(rows, root, image_size, cache or cache_folder())
    names = [("group", row.group) if row.group else ("image", row.image) for row in rows]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    of_split = {split: [index for index, row in enumerate(rows) if row.split == split] for split in SPLITS}
    return ImageDataset(
        images=prepared.array,
        rows=np.array([prepared.positions[row.sha256] for row in rows], dtype=np.int64),
        ids=tuple(row.image for row in rows),
        targets=_targets(rows, labels, task),
        labels=tuple(labels),
        task=task,
        groups=np.array([numbers[name] for name in names], dtype=np.int64),
        split={split: np.array(indices, dtype=np.int64) for split, indices in of_split.items() if indices},
        data_hash=data_hash(rows, labels, task),
        data_seed=data_seed,
        image_size=image_size,
        files_hash=_files_hash(rows, image_size),
        prepared=prepared,
    )


def _files_hash(rows: Sequence[SplitRow], image_size: int) -> str:
    decoded = f"{recipe()}; {image_size} pixels"
    return hashlib.sha256("\n".join([decoded, *(row.sha256 for row in rows)]).encode()).hexdigest()


def _prepare(rows: Sequence[SplitRow], root: Path, size: int, cache: Path) -> PreparedImages:
    contents = {row.sha256 for row in rows}
    prepared = open_images(contents, size, cache)
    if prepared is not None:
        return prepared
    scan = scan_images({row.image: root / row.image for row in rows}, [size], cache)
    mistakes = []
    for row in rows:
        found = scan.images[row.image]
        if found.error is not None:
            mistakes.append(f"{root / row.image}: {found.error}; restore the image, or split the data anew without it")
        elif found.sha256 != row.sha256:
            mistakes.append(f"{root / row.image}: not the image that was split; restore it, or start a new search")
    if mistakes:
        more = [f"... and {len(mistakes) - 10} more images"] if len(mistakes) > 10 else []
        raise UserError(*mistakes[:10], *more)
    prepared = open_images(contents, size, cache)
    if prepared is None:
        raise UserError(f"{cache}: the images were dropped as soon as they were prepared; raise THAW_CACHE_GIB")
    return prepared


def _targets(
    rows: Sequence[SplitRow], labels: Sequence[str], task: Task
) -> npt.NDArray[np.float32] | npt.NDArray[np.int64]:
    column = {label: position for position, label in enumerate(labels)}
    unknown = [
        f"{row.image}: label {label!r} is not one of the model's"
        for row in rows
        for label in row.labels
        if label not in column
    ]
    several = [
        f"{row.image}: {len(row.labels)} labels; multi-class needs exactly one" for row in rows if len(row.labels) != 1
    ]
    if mistakes := unknown + (several if task == "multiclass" else []):
        raise UserError(*mistakes[:10])
    if task == "multiclass":
        return np.array([column[row.labels[0]] for row in rows], dtype=np.int64)
    targets = np.zeros((len(rows), len(labels)), dtype=np.float32)
    for index, row in enumerate(rows):
        targets[index, [column[label] for label in row.labels]] = 1
    return targets
