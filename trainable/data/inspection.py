"""What is in the data and what is wrong with it, before anything is trained on it."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from trainable.data.drift import Drift, drift_problems
from trainable.data.duplicates import Duplicate, duplicate_problems
from trainable.data.label_names import misspelt, spelt_alike
from trainable.data.manifest import Manifest, Problem, Row
from trainable.data.prepared import Scan
from trainable.data.splits import SPLITS

__all__ = ["Inspection", "Problem", "drop_rare_labels", "exclude", "inspect"]

SHOWN_PROBLEMS = 20
SHOWN_PAIRS = 5
UNSPLIT = "all"
"""Name of the one column of counts while there is no split."""


@dataclass(frozen=True)
class Inspection:
    """Counts and problems of a data set. Counts are images; a pair of labels is in alphabetical order."""

    layout: str
    task: str
    images: int
    unlabelled: int
    sizes: Mapping[str, tuple[int, int]]
    """`min`, `median` and `max` -> (width, height) in pixels, each side for itself; empty without a readable image."""
    modes: Mapping[str, int]
    """Pillow mode as stored -> images."""
    split_sizes: Mapping[str, int]
    balance: Mapping[str, Mapping[str, int]]
    """Label -> split (`all` where there is none) -> images."""
    together: Mapping[tuple[str, str], int]
    """Pairs of labels that occur in one image -> images; pairs that never do are left out."""
    problems: tuple[Problem, ...]
    duplicates: tuple[Duplicate, ...] = ()
    drift: tuple[Drift, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    def to_json(self) -> dict[str, Any]:
        """Everything, in types that `json.dumps` takes; co-occurrence is a matrix in the order of `labels`."""
        labels = list(self.balance)
        pairs = {**self.together, **{(b, a): count for (a, b), count in self.together.items()}}
        totals = {label: sum(counts.values()) for label, counts in self.balance.items()}
        return {
            "layout": self.layout,
            "task": self.task,
            "images": self.images,
            "unlabelled": self.unlabelled,
            "sizes": {name: list(size) for name, size in self.sizes.items()},
            "modes": dict(self.modes),
            "split_sizes": dict(self.split_sizes),
            "labels": labels,
            "balance": {label: dict(counts) for label, counts in self.balance.items()},
            "co_occurrence": [[totals[a] if a == b else pairs.get((a, b), 0) for b in labels] for a in labels],
            "problems": [dataclasses.asdict(problem) for problem in self.problems],
            "duplicates": [
                dataclasses.asdict(duplicate) | {"across": duplicate.across} for duplicate in self.duplicates
            ],
            "drift": [dataclasses.asdict(drift) for drift in self.drift],
        }

    def lines(self) -> list[str]:
        """The same for people: layout, counts, sizes, modes, balance, pairs and problems, errors first."""
        columns = list(self.split_sizes)
        shares = ", ".join(f"{name} {count}" for name, count in self.split_sizes.items() if name != UNSPLIT)
        lines = [f"Layout: {self.layout}"]
        lines.append(
            f"{self.images} images, {len(self.balance)} labels, {self.task}" + (f" ({shares})" if shares else "")
        )
        if self.unlabelled:
            lines.append(f"{self.unlabelled} images without a label")
        if self.sizes:
            lines.append("Sizes: " + ", ".join(f"{name} {w}x{h}" for name, (w, h) in self.sizes.items()))
            lines.append("Modes: " + ", ".join(f"{mode} {count}" for mode, count in self.modes.items()))
        width = max(len("label"), *(len(label) for label in self.balance))
        lines.append("label".ljust(width) + "".join(name.rjust(8) for name in columns))
        for label, counts in self.balance.items():
            lines.append(label.ljust(width) + "".join(str(counts[name]).rjust(8) for name in columns))
        often = sorted(self.together.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_PAIRS]
        if often:
            lines.append("Most often together: " + ", ".join(f"{a} + {b} {count}" for (a, b), count in often))
        if self.duplicates:
            lines.append(self._duplicates_line())
        return [*lines, *self.problem_lines()]

    def problem_lines(self) -> list[str]:
        """Errors, then warnings, up to twenty of each."""
        lines = []
        for severity, found in (("error", self.errors), ("warning", self.warnings)):
            lines += [f"{severity}: {problem.row}: {problem.message}" for problem in found[:SHOWN_PROBLEMS]]
            if len(found) > SHOWN_PROBLEMS:
                lines.append(f"{severity}: ... and {len(found) - SHOWN_PROBLEMS} more")
        return lines

    def _duplicates_line(self) -> str:
        kinds = Counter(duplicate.kind for duplicate in self.duplicates)
        across = sum(duplicate.across for duplicate in self.duplicates)
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return f"Duplicates: {counts}; {across} across splits"


def inspect(
    manifest: Manifest,
    scan: Scan,
    splits: Mapping[str, str] | None = None,
    duplicates: Sequence[Duplicate] = (),
    drift: Sequence[Drift] = (),
) -> Inspection:
    """Check a manifest against its scanned files and, where there is one, its split (image id -> split).

    Errors must be settled before training; each names its row and the remedy. Balance and pairs count every row of the
    manifest, unreadable images included.
    """
    readable = [scan.images[row.image] for row in manifest.rows if scan.images[row.image].error is None]
    split_of = splits or {row.image: UNSPLIT for row in manifest.rows}
    present = Counter(split_of[row.image] for row in manifest.rows)
    columns = [name for name in (*SPLITS, UNSPLIT) if name in present]
    counts = Counter((label, split_of[row.image]) for row in manifest.rows for label in row.labels)
    pairs = Counter(
        (a, b) for row in manifest.rows for place, a in enumerate(row.labels) for b in row.labels[place + 1 :]
    )
    problems = [
        *manifest.problems,
        *_unreadable(manifest, scan),
        *_label_names(manifest),
        *_label_counts(manifest),
        *duplicate_problems(manifest, duplicates),
        *(_split_problems(manifest, splits, counts) if splits else ()),
        *drift_problems(drift),
    ]
    return Inspection(
        layout=manifest.layout,
        task=manifest.task,
        images=len(manifest.rows),
        unlabelled=sum(not row.labels for row in manifest.rows),
        sizes=_sizes([found.width for found in readable], [found.height for found in readable]),
        modes=dict(Counter(found.mode for found in readable).most_common()),
        split_sizes={name: present[name] for name in columns},
        balance={label: {name: counts[label, name] for name in columns} for label in manifest.labels},
        together=dict(sorted(pairs.items())),
        problems=tuple(sorted(problems, key=lambda problem: problem.severity)),
        duplicates=tuple(duplicates),
        drift=tuple(drift),
    )


def _sizes(widths: list[int], heights: list[int]) -> dict[str, tuple[int, int]]:
    if not widths:
        return {}
    median = (round(statistics.median(widths)), round(statistics.median(heights)))
    return {"min": (min(widths), min(heights)), "median": median, "max": (max(widths), max(heights))}


def _unreadable(manifest: Manifest, scan: Scan) -> Iterator[Problem]:
    remedy = "restore the file, or leave such images out with --skip-unreadable"
    for row in manifest.rows:
        reason = scan.images[row.image].error
        if reason == "missing":
            yield Problem("error", "missing", row.where, f"no such file as {row.path}; {remedy}")
        elif reason is not None:
            yield Problem("error", "unreadable", row.where, f"unreadable ({reason}); {remedy}")


def _label_names(manifest: Manifest) -> Iterator[Problem]:
    images = dict.fromkeys(manifest.labels, 0) | Counter(label for row in manifest.rows for label in row.labels)
    firsts = {label: row.where for row in reversed(manifest.rows) for label in row.labels}
    for names in spelt_alike(manifest.labels):
        quoted = " and ".join(repr(name) for name in names)
        message = f"labels {quoted} differ only by case, spaces, dashes or underscores; spell them alike"
        yield Problem("error", "similar_labels", firsts.get(names[-1], names[-1]), message)
    for label, other in misspelt(images):
        message = f"label {label!r} ({images[label]} images) may be {other!r} ({images[other]}); spell them alike if so"
        yield Problem("warning", "label_variant", firsts.get(label, label), message)


def _label_counts(manifest: Manifest) -> Iterator[Problem]:
    if manifest.task == "multilabel":
        return
    for row in manifest.rows:
        if not row.labels:
            yield Problem(
                "error", "unlabelled", row.where, "has no label; multi-class needs one: add it or remove the row"
            )
        elif len(row.labels) > 1:
            several = ", ".join(row.labels)
            message = (
                f"has {len(row.labels)} labels ({several}); multi-class needs one: correct it, or task: multilabel"
            )
            yield Problem("error", "several_labels", row.where, message)


def _split_problems(
    manifest: Manifest, splits: Mapping[str, str], counts: Mapping[tuple[str, str], int]
) -> Iterator[Problem]:
    for label in manifest.labels:
        for split in ("train", "val"):
            if not counts[label, split]:
                total = sum(counts[label, name] for name in SPLITS)
                message = f"label {label!r} ({total} images) has none in {split}; add images, or --drop-rare-labels K"
                yield Problem("error", "absent_label", label, message)
    of_group: dict[str, str] = {}
    for row in manifest.rows:
        if row.group is not None and of_group.setdefault(row.group, splits[row.image]) != splits[row.image]:
            message = f"group {row.group!r} is in {of_group[row.group]} and in {splits[row.image]}; correct the split"
            yield Problem("error", "group_straddles", row.where, message)


def drop_rare_labels(manifest: Manifest, minimum: int) -> tuple[Manifest, dict[str, int]]:
    """The manifest without labels of fewer than `minimum` images, and how many images each of those had.

    Multi-label rows lose the label and stay; multi-class rows of such a label are removed.
    """
    counts = Counter(label for row in manifest.rows for label in row.labels)
    dropped = {label: counts[label] for label in manifest.labels if counts[label] < minimum}
    if manifest.task == "multiclass":
        rows: Iterable[Row] = (row for row in manifest.rows if not dropped.keys() & set(row.labels))
    else:
        rows = (
            dataclasses.replace(row, labels=tuple(label for label in row.labels if label not in dropped))
            for row in manifest.rows
        )
    labels = tuple(label for label in manifest.labels if label not in dropped)
    return dataclasses.replace(manifest, rows=tuple(rows), labels=labels), dropped


def exclude(manifest: Manifest, images: Set[str]) -> Manifest:
    """The manifest without these images; labels that only they had stay listed, so that inspection names them."""
    return dataclasses.replace(manifest, rows=tuple(row for row in manifest.rows if row.image not in images))
