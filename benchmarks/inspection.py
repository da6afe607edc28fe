"""What does it cost to look at 10,000 images, against named peers?

    python -m benchmarks.inspection [--images 10000] [--rounds 1] [--peer-python PYTHON]

JPEGs of 500 x 375 pixels, a quarter of them drawn anew and each of those also mirrored and turned over. `tuner inspect`
decodes every file in full, finds what is broken, copies and drift, and keeps the decoded pictures; a second inspection
finds them. The peers find exact and near duplicates: imagededup by pHash, cleanvision by hashes, beside its other
issues. They are not among Thaw's packages: PYTHON has them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from benchmarks.comparing import (
    RATIO_HEADERS,
    Contender,
    as_text,
    facts,
    numbers_of,
    parser,
    publish,
    quiet_environment,
    ratio_rows,
    run_all,
    scratch_folder,
)
from benchmarks.pictures import QUALITY, PictureSet, make_pictures

OURS = "tuner inspect"
PEERS = {
    "imagededup, pHash": """
import sys
from imagededup.methods import PHash
if __name__ == "__main__":
    found = PHash(verbose=False).find_duplicates(image_dir=sys.argv[1], recursive=True, max_distance_threshold=10)
    print(sum(map(len, found.values())))
""",
    "cleanvision": """
import sys
from cleanvision import Imagelab
if __name__ == "__main__":
    lab = Imagelab(data_path=sys.argv[1])
    lab.find_issues(n_jobs=2, verbose=False)
    print(lab.issue_summary)
""",
}


def make_folder(scratch: Path, images: int) -> Path:
    """A folder per photograph of so many JPEGs, no two of them alike."""
    drawn = PictureSet(scratch / f"drawn{images // 4}", images // 4, 0)
    folder = scratch / f"pictures{images}"
    if folder.exists():
        return folder
    make_pictures(drawn)
    turns = (None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180)
    for file in sorted(drawn.folder.glob("*/*.jpg")):
        to = folder / file.parent.name
        to.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as picture:
            for number, turn in enumerate(turns):
                turned = picture if turn is None else picture.transpose(turn)
                turned.save(to / f"{file.stem}-{number}.jpg", quality=QUALITY)
    return folder


def main() -> None:
    options = parser(__doc__.splitlines()[0], rounds=1)
    options.add_argument("--images", type=int, default=10_000)
    options.add_argument("--peer-python", type=Path, help="the interpreter of an environment with the peers")
    given = options.parse_args()
    with scratch_folder(given.scratch) as scratch:
        folder = make_folder(scratch, given.images)
        once = [sys.executable, "-m", "tuner.cli", "inspect", str(folder)]
        twice = [
            sys.executable,
            "-c",
            "import subprocess, sys; [subprocess.run(sys.argv[1:], check=True) for _ in '12']",
        ]
        contenders = [Contender(OURS, lambda _: once), Contender("the same twice", lambda _: [*twice, *once])]
        for name, program in PEERS.items() if given.peer_python else ():
            command = [str(given.peer_python), "-c", program, str(folder)]
            contenders.append(Contender(name, lambda _, command=command: command))
        measured = run_all(contenders, given.rounds, scratch, quiet_environment())
        table = as_text(ratio_rows(measured, OURS), RATIO_HEADERS)
        made = facts("python -m benchmarks.inspection", given.rounds)
        publish(given.out, made, {f"{given.images} images": table}, numbers_of(measured))


if __name__ == "__main__":
    main()
