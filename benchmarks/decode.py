"""From JPEGs to batches: Thaw's cache of decoded pictures against torchvision's ImageFolder and DataLoader.

    python -m benchmarks.decode [--images 600] [--epochs 4] [--rounds 2]

JPEGs of 500 x 375 pixels -> float tensors of 96 and 224, bicubic, batches of 32. The first epoch decodes, and in Thaw
also hashes every file and writes the pictures to disk; later epochs read them back, where the peers decode again.
Imports are not counted. Thaw's pictures equal those of the first peer to the last bit; the tensor resize rounds
otherwise.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.comparing import (
    Contender,
    Measured,
    as_text,
    facts,
    parser,
    publish,
    quiet_environment,
    require_equal,
    run_all,
    scratch_folder,
)
from benchmarks.input_paths import OURS, PATHS
from benchmarks.pictures import PictureSet, make_pictures

SIZES = (96, 224)
TOLERANCE = {"mean": 0.002}
"""of a picture's mean pixel, in 0..1: half a level"""


def per_image_ms(runs: list[list[dict[str, float]]], images: int) -> dict[str, float]:
    """Milliseconds an image of the first epoch and of later ones, medians over runs and epochs."""
    found = {}
    for clock in ("wall", "cpu"):
        first = statistics.median(epochs[0][clock] for epochs in runs)
        later = statistics.median(epoch[clock] for epochs in runs for epoch in epochs[1:])
        found |= {f"first {clock}": 1000 * first / images, f"later {clock}": 1000 * later / images}
    return found


def contender(name: str, folder: Path, size: int, epochs: int, times: dict[str, list[Any]]) -> Contender:
    def command(run: Path) -> list[str]:
        given = (name, folder, size, epochs, run / "outcomes.json")
        return [sys.executable, "-m", "benchmarks.input_paths", *map(str, given)]

    def outcomes(run: Path) -> dict[str, list[dict[str, float]]]:
        found = json.loads((run / "outcomes.json").read_text())
        times.setdefault(name, []).append(found["times"])
        return {f"{size} px": [{"mean": mean} for mean in found["means"]]}

    return Contender(name, command, outcomes)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=600)
    options.add_argument("--epochs", type=int, default=4)
    given = options.parse_args()
    tables, numbers = {}, {}
    with scratch_folder(given.scratch) as scratch:
        pictures = PictureSet(scratch / f"pictures{given.images}", given.images, 0)
        make_pictures(pictures)
        for size in SIZES:
            times: dict[str, list[Any]] = {}
            contenders = [contender(name, pictures.folder, size, given.epochs, times) for name in PATHS]
            measured: dict[str, Measured] = run_all(contenders, given.rounds, scratch, quiet_environment())
            require_equal(measured, OURS, TOLERANCE)
            of = {name: per_image_ms(runs, given.images) for name, runs in times.items()}
            rows = [
                [name, *(f"{own:.2f} ({own / of[OURS][column]:.2f}x)" for column, own in columns.items())]
                for name, columns in of.items()
            ]
            headers = ["ms an image (times ours)", *(f"{column}" for column in of[OURS])]
            tables[f"{size} pixels, {given.images} images"] = as_text(rows, headers)
            numbers[f"{size} px"] = of
    made = facts(f"python -m benchmarks.decode {' '.join(sys.argv[1:])}", given.rounds)
    publish(given.out, made, tables, {"per_image_ms": numbers})


if __name__ == "__main__":
    main()
