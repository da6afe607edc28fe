"""What is in the data, by the search's own split: how often labels are, which occur together, what is there twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trainable.data.splits import SPLITS, SplitRow, read_splits
from trainable.errors import UserError
from tuner.evidence.suspected import SuspectedLabel, kept_suspicions
from tuner.records import SearchRecord
from tuner.store import Store
from tuner.stored_inspection import stored_duplicates
from tuner.tolerant import integer, mapping, text

MOST_LABELS = 60
"""of a balance, most frequent first"""
MOST_TOGETHER = 16
"""labels of a matrix that can be read"""
MOST_TWINS, MOST_ALIKE = 12, 6
"""groups of equal images, and images of a group"""
MOST_LINES = 50
"""of warnings, and of what was left out"""
MOST_SUSPECTED = 12
"""labels, with their images"""
SHADES = 5
SAMPLED_LABELS = 12
SAMPLES_A_LABEL = 3


@dataclass(frozen=True)
class LabelCount:
    label: str
    by_split: tuple[int, ...]
    """in the order of the split's names"""
    images: int
    percent_of_most: float
    """of the images of the most frequent label: the length of a bar"""


@dataclass(frozen=True)
class Together:
    """How many images have both labels, or on the diagonal the one."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    shades: tuple[tuple[int, ...], ...]
    """from 0 to `SHADES`: the share of the rarer label's images"""


@dataclass(frozen=True)
class Twins:
    """Images of the same bytes, or that look alike."""

    images: tuple[str, ...]
    """the first of them"""
    count: int
    splits: tuple[str, ...]
    """in which they are; several flatter scores"""
    are_equal: bool
    """to the byte, all of them"""

    @property
    def across(self) -> bool:
        return len(self.splits) > 1


@dataclass(frozen=True)
class Samples:
    """Training images of a label."""

    label: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    splits: Mapping[str, int]
    """name -> images"""
    labels: tuple[LabelCount, ...]
    labels_left_out: int
    unlabelled: int
    together: Together | None
    """None where no image has two labels"""
    twins: tuple[Twins, ...]
    """those across splits first"""
    twins_left_out: int
    twin_images: int
    """beyond the first of each group"""
    samples: tuple[Samples, ...]


@dataclass(frozen=True)
class Suspected:
    """Labels that are probably wrong."""

    trials: tuple[str, ...]
    """by which"""
    images: int
    """that were looked at"""
    count: int
    labels: tuple[SuspectedLabel, ...]
    """the first of them, the least confident first"""


def read_suspected(store: Store) -> Suspected | None:
    """As the search's end has left them; None where labels were not looked at."""
    kept = kept_suspicions(store)
    return Suspected(kept.trials, kept.images, len(kept.labels), kept.labels[:MOST_SUSPECTED]) if kept else None


def read_data(store: Store) -> Data | None:
    """The data as splits.csv has them; None where that cannot be read."""
    try:
        rows = read_splits(store.splits)
    except (UserError, OSError, ValueError):
        return None
    alike = [(text(found.get("image")), text(found.get("twin"))) for found in stored_duplicates(store)]
    return data_of(rows, alike) if rows else None


def data_of(rows: Sequence[SplitRow], alike: Iterable[tuple[str, str]] = ()) -> Data:
    """The same, of the lines of a splits.csv and pairs of images that were found to look alike."""
    present = Counter(row.split for row in rows)
    splits = {name: present[name] for name in SPLITS if name in present}
    of_split = Counter((label, row.split) for row in rows for label in row.labels)
    totals = Counter(label for row in rows for label in row.labels)
    names = sorted(totals, key=lambda label: (-totals[label], label))
    twins = sorted(_twins(rows, alike), key=lambda found: (not found.across, found.images))
    return Data(
        splits=splits,
        labels=tuple(
            LabelCount(
                label,
                tuple(of_split[label, split] for split in splits),
                totals[label],
                round(100 * totals[label] / totals[names[0]], 1),
            )
            for label in names[:MOST_LABELS]
        ),
        labels_left_out=max(len(names) - MOST_LABELS, 0),
        unlabelled=sum(not row.labels for row in rows),
        together=_together(rows, names[:MOST_TOGETHER], totals),
        twins=tuple(twins[:MOST_TWINS]),
        twins_left_out=max(len(twins) - MOST_TWINS, 0),
        twin_images=sum(found.count - 1 for found in twins),
        samples=tuple(_samples(rows, names[:SAMPLED_LABELS])),
    )


def _together(rows: Sequence[SplitRow], names: Sequence[str], totals: Mapping[str, int]) -> Together | None:
    pairs = Counter((one, other) for row in rows for one in row.labels for other in row.labels)
    if all(one == other for one, other in pairs):
        return None

    def shade(one: str, other: str) -> int:
        share = pairs[one, other] / min(totals[one], totals[other])
        return 0 if one == other or not share else min(1 + int(share * SHADES), SHADES)

    return Together(
        tuple(names),
        tuple(tuple(pairs[one, other] for other in names) for one in names),
        tuple(tuple(shade(one, other) for other in names) for one in names),
    )


def _twins(rows: Sequence[SplitRow], alike: Iterable[tuple[str, str]]) -> list[Twins]:
    first: dict[str, str] = {}
    equal = [(row.image, first.setdefault(row.sha256, row.image)) for row in rows if row.sha256]
    groups = _joined([row.image for row in rows], (*equal, *alike))
    found: dict[str, list[SplitRow]] = defaultdict(list)
    for row in rows:
        found[groups[row.image]].append(row)
    return [
        Twins(
            tuple(row.image for row in group[:MOST_ALIKE]),
            len(group),
            tuple(dict.fromkeys(row.split for row in group)),
            len({row.sha256 for row in group}) == 1,
        )
        for group in found.values()
        if len(group) > 1
    ]


def _joined(images: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each image -> the one that stands for all that pairs join it to, directly or by others."""
    above = {image: image for image in images}

    def head(image: str) -> str:
        while above[image] != image:
            image = above[image]
        return image

    for one, other in pairs:
        if one in above and other in above:
            above[head(one)] = head(other)
    return {image: head(image) for image in above}


def _samples(rows: Sequence[SplitRow], names: Sequence[str]) -> list[Samples]:
    """Evenly spread over each label's training images, none of them twice."""
    of_label: dict[str, list[str]] = {name: [] for name in names}
    for row in rows:
        for label in row.labels if row.split == "train" else ():
            if label in of_label:
                of_label[label].append(row.image)
    taken: set[str] = set()
    found = []
    for name, images in of_label.items():
        free = [image for image in images if image not in taken]
        step = max(len(free) // SAMPLES_A_LABEL, 1)
        chosen = tuple(free[::step][:SAMPLES_A_LABEL])
        taken.update(chosen)
        if chosen:
            found.append(Samples(name, chosen))
    return found


@dataclass(frozen=True)
class Listed:
    """Lines, the first of them where there are many."""

    lines: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Told:
    """What was found out about the files before anything trained."""

    pixels: Mapping[str, str]
    """`min`, `median`, `max` -> `width x height`"""
    modes: Mapping[str, int]
    warnings: Listed
    left_out: Listed
    """images and labels, and why they take no part"""


def told_of_data(record: SearchRecord) -> Told:
    """As the log has it; empty in searches that did not tell."""
    facts = record.data
    pixels = {name: size for name, size in mapping(facts.get("pixels")).items() if isinstance(size, list | tuple)}
    modes = {name: count for name, found in mapping(facts.get("modes")).items() if (count := integer(found))}
    return Told(
        pixels={name: " x ".join(map(str, size)) for name, size in pixels.items()},
        modes=modes,
        warnings=_listed(_texts(facts.get("warnings"))),
        left_out=_listed([f"{name}: {why}" for name, why in mapping(facts.get("left_out")).items()]),
    )


def _listed(lines: Sequence[str]) -> Listed:
    return Listed(tuple(lines[:MOST_LINES]), len(lines))


def _texts(given: object) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list | tuple) else ()
