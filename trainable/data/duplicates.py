"""The same picture twice: files with equal content, and copies that were re-encoded or resized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from trainable.data.looks import Alike, Looks, find_alike
from trainable.data.manifest import Manifest, Problem, Row


@dataclass(frozen=True)
class Duplicate:
    """An image that another one before it, its twin, already shows."""

    image: str
    twin: str
    kind: Literal["exact", "near"]
    """exact: the files are equal to the byte"""
    split: str
    """of the image; empty while there is none"""
    twin_split: str
    same_labels: bool
    same_group: bool
    difference: float
    """of brightness, in levels of 255; 0 for exact ones"""

    @property
    def across(self) -> bool:
        """Whether the two are in different splits."""
        return self.split != self.twin_split


def find_duplicates(
    manifest: Manifest, sha256s: Mapping[str, str], looks: Looks | None = None, splits: Mapping[str, str] | None = None
) -> tuple[Duplicate, ...]:
    """Every image that shows what one before it shows, with the twin that matters most: one in another split, if any.

    Args:
        sha256s: by image id, of the images to compare
        looks: of the same images, in the order of the manifest's rows; None: only equal files are found
        splits: image id -> split
    """
    rows = [row for row in manifest.rows if row.image in sha256s]
    shas = [sha256s[row.image] for row in rows]
    of_split = [splits[row.image] if splits else "" for row in rows]
    found = [_duplicate(rows[later], rows[earlier], "exact", 0.0, splits) for later, earlier in _equal(shas, of_split)]
    if looks is not None:
        _, codes = np.unique(of_split, return_inverse=True)
        for alike in find_alike(looks):
            nearest = _nearest(alike, codes)
            columns = (alike.later[nearest], alike.earlier[nearest], alike.difference[nearest])
            for later, earlier, difference in zip(*(column.tolist() for column in columns), strict=True):
                if shas[later] != shas[earlier]:
                    found.append(_duplicate(rows[later], rows[earlier], "near", round(difference, 2), splits))
    most_important = {one.image: one for one in sorted(found, key=lambda one: (one.across, one.kind == "exact"))}
    return tuple(most_important[image] for image in sorted(most_important))


def _equal(shas: Sequence[str], of_split: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Positions of an image and of the first with its content, in another split where there is one before it."""
    firsts: dict[str, dict[str, int]] = {}
    for place, (sha, split) in enumerate(zip(shas, of_split, strict=True)):
        before = firsts.setdefault(sha, {})
        if before:
            elsewhere = [first for other, first in before.items() if other != split]
            yield place, min(elsewhere or before.values())
        before.setdefault(split, place)


def _nearest(alike: Alike, codes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """For each later picture the place of its most important pair: across splits, then least different."""
    across = codes[alike.later] != codes[alike.earlier]
    order = np.lexsort((alike.difference, ~across, alike.later))
    _, firsts = np.unique(alike.later[order], return_index=True)
    nearest: npt.NDArray[np.intp] = order[firsts]
    return nearest


def _duplicate(
    row: Row, twin: Row, kind: Literal["exact", "near"], difference: float, splits: Mapping[str, str] | None
) -> Duplicate:
    return Duplicate(
        image=row.image,
        twin=twin.image,
        kind=kind,
        split=splits[row.image] if splits else "",
        twin_split=splits[twin.image] if splits else "",
        same_labels=row.labels == twin.labels,
        same_group=row.group is not None and row.group == twin.group,
        difference=difference,
    )


def duplicate_problems(manifest: Manifest, found: Sequence[Duplicate]) -> Iterator[Problem]:
    """Copies in different splits, and files that are there twice without being in one group."""
    wheres = {row.image: row.where for row in manifest.rows}
    for one in found:
        shows = "has the content of" if one.kind == "exact" else "looks like"
        labels = "" if one.same_labels else " but other labels"
        if one.across:
            where = f"{one.twin_split}, this one in {one.split}"
            remedy = "scores would flatter; remove one of the two, or give both one group"
            message = f"{shows} {one.twin}{labels}, which is in {where}: {remedy}"
            yield Problem("warning", "leak" if one.kind == "exact" else "near_leak", wheres[one.image], message)
        elif one.kind == "exact" and not (one.same_group and one.same_labels):
            message = f"{shows} {one.twin}{labels}; remove one of the two, or give both one group"
            yield Problem("warning", "same_content", wheres[one.image], message)
