"""How many planted faults does inspection find in real images, and what does it report that nobody planted?

    python -m benchmarks.planted_faults FOLDER [--seed 0] [--faults 50]

FOLDER has a folder per class, such as those that benchmarks/datasets.py makes. Its images are dealt to train, val and
test, and inspected as they are: whatever is reported then is listed, for a person to look at. Then faults of six kinds
are planted in a copy: files that are cut off or missing, a file that is also in another split, the same re-encoded or
resized, a label without an image, and a label's name in another spelling.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from benchmarks.comparing import as_text, scratch_folder
from trainable.data.inspection import Inspection
from trainable.data.manifest import IMAGE_SUFFIXES, Problem
from tuner.config import DataConfig
from tuner.preparation import Examined, examine

FEWEST = 25
"""images that a class needs to be dealt to three splits"""
SPLITS, SHARES = ("train", "val", "test"), (0.7, 0.15, 0.15)
SCALES, QUALITIES = (0.5, 0.6, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0), (40, 60, 75, 90)


@dataclass
class Planted:
    """A table of images with 0/1 columns, and what is wrong with it: (kind of fault, image or label)."""

    folder: Path
    rows: dict[str, tuple[str, set[str]]]
    """image -> split, labels"""
    labels: set[str]
    faults: list[tuple[str, str]] = field(default_factory=list)

    @property
    def table(self) -> Path:
        path = self.folder / "labels.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            labels = sorted(self.labels)
            writer.writerow(["image", "split", *labels])
            for image, (split, own) in self.rows.items():
                writer.writerow([image, split, *(int(label in own) for label in labels)])
        return path

    def pick(self, rng: random.Random, split: str | None = None) -> str:
        """An image without a fault."""
        faulty = {what for _, what in self.faults}
        free = [name for name, (of, _) in self.rows.items() if name not in faulty and split in (None, of)]
        return rng.choice(free)


def cut_off(planted: Planted, rng: random.Random) -> str:
    image = planted.pick(rng)
    data = (planted.folder / image).read_bytes()
    (planted.folder / image).write_bytes(data[: int(len(data) * rng.uniform(0.3, 0.9))])
    return image


def missing(planted: Planted, rng: random.Random) -> str:
    image = planted.pick(rng)
    (planted.folder / image).unlink()
    return image


def exact(planted: Planted, rng: random.Random) -> str:
    image = planted.pick(rng, "train")
    copy = f"{image}-copy{len(planted.faults)}{Path(image).suffix}"
    shutil.copy(planted.folder / image, planted.folder / copy)
    return _added(planted, rng, image, copy)


def near(planted: Planted, rng: random.Random) -> str:
    image = planted.pick(rng, "train")
    scale, quality = rng.choice(SCALES), rng.choice(QUALITIES)
    suffix = rng.choice([".jpg", ".webp"] if scale == 1 else [".jpg", ".webp", ".png"])
    copy = f"{image}-copy{len(planted.faults)}{suffix}"
    with Image.open(planted.folder / image) as opened:
        picture = opened.convert("RGBA")
    flat = Image.new("RGBA", picture.size, "white")
    flat.alpha_composite(picture)
    size = (max(1, round(flat.width * scale)), max(1, round(flat.height * scale)))
    resized = flat.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    resized.save(planted.folder / copy, **({} if suffix == ".png" else {"quality": quality}))
    return _added(planted, rng, image, copy)


def _added(planted: Planted, rng: random.Random, image: str, copy: str) -> str:
    """A copy of an image of train, in another split; its original gets no further fault."""
    planted.rows[copy] = (rng.choice(SPLITS[1:]), set(planted.rows[image][1]))
    planted.faults.append(("original", image))
    return copy


def without_positives(planted: Planted, rng: random.Random) -> str:  # noqa: ARG001  (all kinds are called alike)
    label = f"nothing {'abcdefghijklmnop'[len(planted.faults) % 16]}{len(planted.faults)}"
    planted.labels.add(label)
    return label


def variant(planted: Planted, rng: random.Random) -> str:
    """One image's label, or two images', in another spelling."""
    label = rng.choice(sorted(label for label in planted.labels if planted_images(planted, label) >= FEWEST))
    at = rng.randrange(1, len(label) - 1)
    ways = (label.upper(), label.capitalize(), f"{label[:at]}-{label[at:]}", f"{label[:at]} {label[at:]}")
    slips = (label[:at] + label[at + 1 :], label[:at] + label[at] + label[at:], f"{label}s")
    free = [way for way in (*ways, *slips) if way not in planted.labels and way != label]
    name = rng.choice(free)
    for _ in range(rng.choice([1, 2])):
        image = next(one for one in iter(lambda: planted.pick(rng), "") if label in planted.rows[one][1])
        split, own = planted.rows[image]
        planted.rows[image] = (split, own - {label} | {name})
    planted.labels.add(name)
    return name


def planted_images(planted: Planted, label: str) -> int:
    return sum(label in own for _, own in planted.rows.values())


KINDS: dict[str, tuple[Callable[[Planted, random.Random], str], Sequence[str]]] = {
    "cut off": (cut_off, ("unreadable",)),
    "missing": (missing, ("missing",)),
    "exact copy": (exact, ("leak",)),
    "near copy": (near, ("near_leak",)),
    "label without an image": (without_positives, ("absent_label",)),
    "label in another spelling": (variant, ("similar_labels", "label_variant")),
}
"""how it is planted, and the kinds of problems that tell of it"""


def deal(source: Path, folder: Path, rng: random.Random) -> Planted:
    """The images of classes with enough of them, copied, each class dealt to three splits."""
    planted = Planted(folder, {}, set())
    for classes in sorted(path for path in source.iterdir() if path.is_dir()):
        files = sorted(file for file in classes.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        if len(files) < FEWEST:
            continue
        planted.labels.add(classes.name)
        rng.shuffle(files)
        for place, file in enumerate(files):
            name = "-".join(file.relative_to(source).parts)
            shutil.copy(file, folder / name)
            share = (place + 0.5) / len(files)
            split = SPLITS[0] if share < SHARES[0] else SPLITS[1] if share < SHARES[0] + SHARES[1] else SPLITS[2]
            planted.rows[name] = (split, {classes.name})
    return planted


def plant(planted: Planted, faults: int, rng: random.Random) -> None:
    """So many faults, of all kinds in turn, the remainder of the first kinds."""
    for kind in [kind for _, kind in zip(range(faults), list(KINDS) * faults, strict=False)]:
        planted.faults.append((kind, KINDS[kind][0](planted, rng)))


def not_found(examined: Examined, planted: Planted, kind: str) -> tuple[list[str], list[str]]:
    """All faults of a kind, and those of which no problem tells that names the image or the label."""
    own = [problem for problem in examined.inspection.problems if problem.kind in KINDS[kind][1]]
    faults = [what for fault, what in planted.faults if fault == kind]
    return faults, [what for what in faults if not any(_names(problem, what) for problem in own)]


def beside(before: Inspection, after: Inspection, planted: Planted) -> list[Problem]:
    """What is reported that was neither there before nor names what was planted."""
    known = {(problem.kind, problem.row.split(" (line")[0]) for problem in before.problems}
    return [
        problem
        for problem in after.problems
        if (problem.kind, problem.row.split(" (line")[0]) not in known
        and not any(_names(problem, what) for _, what in planted.faults)
    ]


def _names(problem: Problem, what: str) -> bool:
    return problem.row.split(" (line")[0] == what or what in problem.message


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--faults", type=int, default=50)
    given = options.parse_args()
    rng = random.Random(given.seed)
    with scratch_folder(None) as scratch:
        planted = deal(given.folder, scratch, rng)
        before = examine(DataConfig(path=planted.table)).inspection
        print(f"{before.images} images of {given.folder}, {len(planted.labels)} classes, as they are:")
        for problem in before.problems:
            print(f"  {problem.kind}: {problem.row}: {problem.message}")
        within = [(one.image, one.twin, one.kind) for one in before.duplicates if not one.across]
        print(f"  within a split, no problem: {within}")
        plant(planted, given.faults, rng)
        after = examine(DataConfig(path=planted.table))
    of_kind = {kind: not_found(after, planted, kind) for kind in KINDS}
    rows = [
        [kind, str(len(faults)), str(len(faults) - len(lost)), ", ".join(lost)]
        for kind, (faults, lost) in of_kind.items()
    ]
    rows.append(["all", *(str(sum(int(row[column]) for row in rows)) for column in (1, 2)), ""])
    print(as_text(rows, ["fault", "planted", "found", "not found"]))
    more = beside(before, after.inspection, planted)
    print(f"reported beside what was planted and what was there: {len(more)}")
    for problem in more:
        print(f"  {problem.kind}: {problem.row}: {problem.message}")


if __name__ == "__main__":
    main()
