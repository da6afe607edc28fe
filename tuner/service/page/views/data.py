"""A data set as its page shows it: what the inspection told when it was registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.service.database.rows import DataState
from tuner.tolerant import integer, mapping, text

MOST_LABELS = 60
"""of a balance, most frequent first"""
MOST_PROBLEMS = 50


@dataclass(frozen=True)
class LabelCount:
    label: str
    images: int
    by_split: tuple[int, ...]
    percent_of_most: float
    """of the images of the most frequent label: the length of a bar"""


@dataclass(frozen=True)
class Picture:
    address: str
    labels: str


@dataclass(frozen=True)
class DataSet:
    name: str
    state: DataState
    owner: str
    created: str
    """RFC 3339, UTC"""
    path: str
    """empty for an upload"""
    task: str
    images: int | None
    labels: int
    layout: str
    splits: Mapping[str, int]
    sizes: Mapping[str, str]
    """`min`, `median`, `max` -> `width x height`; a single one without a name where all are alike"""
    balance: tuple[LabelCount, ...]
    labels_left_out: int
    problems: tuple[str, ...]
    problems_left_out: int
    pictures: tuple[Picture, ...]


def data_set(
    name: str,
    state: DataState,
    told: Mapping[str, Any],
    *,
    owner: str = "",
    created: str = "",
    path: str = "",
    pictures: tuple[Picture, ...] = (),
) -> DataSet:
    """Of what `tuner inspect --json` told; read tolerantly."""
    splits = {split: count for split, found in mapping(told.get("split_sizes")).items() if (count := integer(found))}
    counts = _counts(told, tuple(splits))
    problems = [line for found in told.get("problems") or () if (line := _problem(found))]
    problems += [text(line) for line in told.get("mistakes") or ()]
    return DataSet(
        name=name,
        state=state,
        owner=owner,
        created=created,
        path=path,
        task=text(told.get("task")),
        images=integer(told.get("images")),
        labels=len(counts),
        layout=text(told.get("layout")),
        splits=splits,
        sizes=_sizes(told),
        balance=counts[:MOST_LABELS],
        labels_left_out=max(len(counts) - MOST_LABELS, 0),
        problems=tuple(problems[:MOST_PROBLEMS]),
        problems_left_out=max(len(problems) - MOST_PROBLEMS, 0),
        pictures=pictures,
    )


def _sizes(told: Mapping[str, Any]) -> dict[str, str]:
    found = {of: f"{size[0]} x {size[1]}" for of, size in mapping(told.get("sizes")).items() if len(size) == 2}
    alike = set(found.values())
    return {"": alike.pop()} if len(alike) == 1 else found


def _counts(told: Mapping[str, Any], splits: tuple[str, ...]) -> tuple[LabelCount, ...]:
    found = []
    for label, given in mapping(told.get("balance")).items():
        of_split = tuple(integer(mapping(given).get(split)) or 0 for split in splits)
        found.append((label, sum(of_split), of_split))
    found.sort(key=lambda one: (-one[1], one[0]))
    most = max((images for _, images, _ in found), default=0) or 1
    return tuple(LabelCount(label, images, of, round(100 * images / most, 1)) for label, images, of in found)


def _problem(given: Any) -> str:
    problem = mapping(given)
    where, message = text(problem.get("row")), text(problem.get("message"))
    return f"{where}: {message}" if where else message
