"""Which image trains, which ranks and which is kept for the end; stored as one file that a worker can rebuild from."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainable.data.manifest import Manifest, Row
from trainable.data.views import shuffled
from trainable.errors import UserError
from trainable.task import Task

SPLITS = ("train", "val", "test")
COLUMNS = ("image", "split", "group", "sha256", "labels")


@dataclass(frozen=True)
class SplitRow:
    """One line of `splits.csv`: with the data's root it is all that a worker needs."""

    image: str
    split: str
    group: str
    """Empty where the image is a group of its own."""
    sha256: str
    labels: tuple[str, ...]


def parse_ratios(text: str) -> dict[str, float]:
    """Shares of train, val and (with three numbers) test, each in (0, 1), from `70/15/15`, `75/25` or `0.8/0.2`.

    Raises UserError for anything that is not two or three positive numbers with the sum 100 or 1.
    """
    rule = "a split is train/val or train/val/test, positive numbers with the sum 100, such as 70/15/15"
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        raise UserError(f"split {text!r}: {rule}") from None
    total = sum(numbers)
    if len(numbers) not in (2, 3) or not all(number > 0 for number in numbers):
        raise UserError(f"split {text!r}: {rule}")
    if not any(abs(total - whole) < 1e-6 * whole for whole in (1, 100)):
        raise UserError(f"split {text!r}: the sum is {total:g}; {rule}")
    return {split: number / total for split, number in zip(SPLITS, numbers, strict=False)}


def make_splits(manifest: Manifest, ratios: Mapping[str, float], data_seed: int) -> dict[str, str]:
    """Image id -> train, val or test; depends on the rows, the ratios and `data_seed`, not on the order of the rows.

    A split that the data brings wins; where it has train but no val, val is taken from train in the proportion of the
    ratios. Else labels are stratified iteratively over whole groups (`_stratify`). Raises UserError where a given split
    is incomplete or there are fewer groups than splits.
    """
    given = {row.image: row.split for row in manifest.rows if row.split is not None}
    if not given:
        return _stratified(manifest.rows, manifest.labels, ratios, data_seed)
    missing = [row.where for row in manifest.rows if row.split is None]
    if missing:
        raise UserError(
            f"{manifest.source}: {len(missing)} of {len(manifest.rows)} rows have no split, the first is {missing[0]}; "
            "fill the split column, or remove it to have the split made"
        )
    if "train" not in given.values():
        raise UserError(f"{manifest.source}: no row is in train; fill the split column, or remove it")
    if "val" in given.values():
        return given
    both = ratios["train"] + ratios["val"]
    train = [row for row in manifest.rows if row.split == "train"]
    carved = {"train": ratios["train"] / both, "val": ratios["val"] / both}
    return given | _stratified(train, manifest.labels, carved, data_seed)


def fold_splits(rows: Sequence[SplitRow], labels: Sequence[str], folds: int, data_seed: int) -> list[list[SplitRow]]:
    """Train and val dealt into folds, each the val of one of the splits returned; test stays as it is.

    Raises UserError where there are fewer groups than folds.
    """
    of_image = _stratified(_without_test(rows), labels, {str(fold): 1 / folds for fold in range(folds)}, data_seed)
    return [
        _moved(rows, {image: "val" if found == str(fold) else "train" for image, found in of_image.items()})
        for fold in range(folds)
    ]


def resplit(rows: Sequence[SplitRow], labels: Sequence[str], data_seed: int) -> list[SplitRow]:
    """Train and val dealt out anew, in the shares that they have; test stays as it is."""
    both = _without_test(rows)
    val_share = sum(row.split == "val" for row in both) / len(both)
    return _moved(rows, _stratified(both, labels, {"train": 1 - val_share, "val": val_share}, data_seed))


def shares_of_train(
    rows: Sequence[SplitRow], labels: Sequence[str], shares: Sequence[float], data_seed: int
) -> dict[float, list[SplitRow]]:
    """For each share in (0, 1] the rows with that share of the training images, stratified; each has the smaller ones.

    Raises UserError where there are too few groups of training images to halve them so often.
    """
    rest = [row for row in rows if row.split != "train"]
    train = [row for row in rows if row.split == "train"]
    found: dict[float, list[SplitRow]] = {}
    had = 1.0
    for share in sorted(shares, reverse=True):
        if share < had:
            kept = _stratified(train, labels, {"train": share / had, "left": 1 - share / had}, data_seed)
            train = [row for row in train if kept[row.image] == "train"]
            had = share
        found[share] = [*train, *rest]
    return found


def _without_test(rows: Sequence[SplitRow]) -> list[SplitRow]:
    return [row for row in rows if row.split != "test"]


def _moved(rows: Sequence[SplitRow], splits: Mapping[str, str]) -> list[SplitRow]:
    return [replace(row, split=splits.get(row.image, row.split)) for row in rows]


def _stratified(
    rows: Sequence[Row] | Sequence[SplitRow], labels: Sequence[str], ratios: Mapping[str, float], data_seed: int
) -> dict[str, str]:
    groups: dict[tuple[str, str], list[Row | SplitRow]] = {}
    for row in rows:
        groups.setdefault(_group_key(row.image, row.group), []).append(row)
    if len(groups) < len(ratios):
        raise UserError(f"{len(groups)} groups of images cannot fill {len(ratios)} splits without straddling; add data")
    keys = sorted(groups)
    column = {label: position for position, label in enumerate(labels)}
    # One more column counts every image: it holds the sizes of the splits and carries the images without a label.
    counts = np.zeros((len(keys), len(labels) + 1), dtype=np.int32)
    for position, key in enumerate(keys):
        for row in groups[key]:
            counts[position, [column[label] for label in row.labels]] += 1
            counts[position, -1] += 1
    shares = np.array(list(ratios.values()))
    order = shuffled(np.arange(len(keys)), data_seed, epoch=0)
    assigned = np.empty(len(keys), dtype=np.int64)
    assigned[order] = _cover(counts[order], _stratify(counts[order], shares), len(shares))
    names = list(ratios)
    return {row.image: names[assigned[position]] for position, key in enumerate(keys) for row in groups[key]}


def _group_key(image: str, group: str | None) -> tuple[str, str]:
    """A group's name, or the image itself; told apart so that a group called like an image stays its own."""
    return ("group", group) if group else ("image", image)


def _stratify(counts: npt.NDArray[np.int32], ratios: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Split of each group, shape [groups], from images per group and label, shape [groups, labels + 1].

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data, ECML PKDD 2011)
    with groups weighed by their images, which iterative-stratification 0.1.9 cannot do: it takes every group for one
    sample. The rarest label is dealt out first, its largest groups first, to the split that lacks most of it among
    those with room for half the group; so a split exceeds its share by no more than the largest group.
    """
    assigned = np.full(len(counts), -1, dtype=np.int64)
    lacking = np.outer(ratios, counts.sum(axis=0))  # [splits, labels + 1] images
    left = np.count_nonzero(counts, axis=0)  # [labels + 1] groups
    by_size = np.argsort(-counts[:, -1], kind="stable")
    while left[-1]:
        label = int(np.argmin(np.where(left > 0, left, np.iinfo(np.int64).max)))
        for group in by_size[(assigned[by_size] < 0) & (counts[by_size, label] > 0)]:
            size = counts[group, -1]
            room = lacking[:, -1] >= size / 2
            wanted = np.where(room, lacking[:, label], -np.inf) if room.any() else lacking[:, -1]
            # Ties go to the split that lacks most images.
            split = int(np.lexsort((lacking[:, -1], wanted))[-1])
            assigned[group] = split
            lacking[split] -= counts[group]
            left -= counts[group] > 0
    return assigned


def _cover(counts: npt.NDArray[np.int32], assigned: npt.NDArray[np.int64], splits: int) -> npt.NDArray[np.int64]:
    """Move single groups, the smallest first, until every label with enough groups is in every split, if it can be."""
    assigned = assigned.copy()
    present = counts > 0
    held = np.stack([present[assigned == split].sum(axis=0) for split in range(splits)])  # [splits, labels + 1] groups
    for label in np.argsort(held.sum(axis=0), kind="stable"):
        for split in range(splits):
            if held[split, label] or held[:, label].sum() < splits:
                continue
            # A group may leave where it is not the last one of any of its labels.
            spare = [g for g in np.flatnonzero(present[:, label]) if (held[assigned[g]][present[g]] > 1).all()]
            if spare:
                moved = min(spare, key=lambda g: (int(counts[g, -1]), int(present[g].sum()), int(g)))
                held[assigned[moved]] -= present[moved]
                held[split] += present[moved]
                assigned[moved] = split
    return assigned


def write_splits(path: Path, rows: Sequence[SplitRow]) -> None:
    """Write `splits.csv`, sorted by image id; the file is whole or absent at any time."""
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in sorted(rows, key=lambda row: row.image):
            labels = json.dumps(row.labels, ensure_ascii=False)
            writer.writerow((row.image, row.split, row.group, row.sha256, labels))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_splits(path: Path) -> tuple[SplitRow, ...]:
    """Rows of a `splits.csv`, sorted by image id. Raises UserError where the file is missing or not one."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
            columns = tuple(reader.fieldnames or ())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; a search writes its split there when it starts") from None
    if columns != COLUMNS:
        raise UserError(f"{path}: columns are {', '.join(columns)}; a stored split has {', '.join(COLUMNS)}")
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            labels = tuple(json.loads(line["labels"]))
        except (TypeError, ValueError):
            raise UserError(f"{path}, line {number}: labels {line['labels']!r} are not a JSON list") from None
        rows.append(SplitRow(line["image"], line["split"], line["group"], line["sha256"], labels))
    return tuple(sorted(rows, key=lambda row: row.image))


def split_rows(manifest: Manifest, splits: Mapping[str, str], sha256s: Mapping[str, str]) -> tuple[SplitRow, ...]:
    """What to store: each image of the manifest with its split and the sha256 of its file."""
    return tuple(
        SplitRow(row.image, splits[row.image], row.group or "", sha256s[row.image], row.labels) for row in manifest.rows
    )


def data_hash(rows: Sequence[SplitRow], labels: Sequence[str], task: Task) -> str:
    """sha256 in hex over every image's id, content, labels, group and split, and over the label list and the task."""
    lines = sorted([row.image, row.sha256, sorted(row.labels), row.group, row.split] for row in rows)
    canonical = json.dumps([lines, list(labels), task], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
