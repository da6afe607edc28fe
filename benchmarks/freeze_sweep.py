"""A sweep over freeze depths: what sharing the frozen blocks' features gains, of what it could; plain Ray Tune beside.

    python -m benchmarks.freeze_sweep [--rounds 2] [--without-ray]

ResNet18 at 64 pixels, 2 to 5 of its 5 blocks frozen x 2 heads x 2 schedules: 16 trials of 3 epochs, 480 + 120 JPEGs.
The same code trains them with sharing and without, in one process on one thread. The ideal gain is made of block times
measured in the same run: without sharing every image passes the frozen blocks in every epoch of every trial, with
sharing once in all. CPU times are of the trials alone, imports and decoding apart.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparing import (
    RATIO_HEADERS,
    Contender,
    Outcomes,
    as_text,
    facts,
    numbers_of,
    parser,
    publish,
    quiet_environment,
    ratio_rows,
    require_equal,
    run_all,
    scratch_folder,
    trial_key,
)
from benchmarks.frozen_heads import TRAIN_IMAGES, VAL_IMAGES, peer_outcomes, trial_list
from benchmarks.pictures import PictureSet, make_pictures, make_weights

AXES: dict[str, list[Any]] = {
    "freeze": [2, 3, 4, 5],
    "head.kind": ["linear", "mlp"],
    "schedule.kind": ["constant", "cosine"],
}
FIXED = {"optimizer.kind": "adamw", "optimizer.lr": 1e-4, "loss.pos_weight": "none"}
EPOCHS, IMAGE_SIZE, TRIALS = 3, 64, 16
SHARED, UNSHARED, BLOCKS, RAY = "Thaw, shared", "Thaw, not shared", "block times", "Ray Tune"
TOLERANCES = {"loss": 0.02, "f2_macro": 0.1}
"""trained blocks grow rounding errors, by step and by layout of memory; within Thaw they are EXACT"""
EXACT = {"loss": 1e-5, "f2_macro": 1e-5}

Times = Mapping[str, float]


def ideal_gain(blocks: Mapping[int, Times], depths: Sequence[int], epochs: int, train: int, val: int) -> float:
    """Time without sharing / time with it, of trials with these depths, from seconds an image."""
    suffix = sum(epochs * (train * blocks[depth]["step"] + val * blocks[depth]["forward"]) for depth in depths)
    every_time = sum(epochs * (train + val) * blocks[depth]["prefix"] for depth in depths)
    once = (train + val) * blocks[max(depths)]["prefix"]  # the shallower ones lie on the way
    return (suffix + every_time) / (suffix + once)


def reading(times: dict[str, list[float]], name: str) -> Callable[[Path], Outcomes]:
    def read(folder: Path) -> Outcomes:
        found = json.loads((folder / "outcomes.json").read_text())
        times.setdefault(name, []).append(found["cpu_seconds"])
        return {trial_key({path: one["params"][path] for path in AXES}): one["epochs"] for one in found["trials"]}

    return read


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--without-ray", action="store_true")
    given = options.parse_args()
    times: dict[str, list[float]] = {}
    blocks: list[dict[int, Times]] = []

    def read_blocks(folder: Path) -> Outcomes:
        found = json.loads((folder / "outcomes.json").read_text())["blocks"]
        blocks.append({int(depth): of_depth for depth, of_depth in found.items()})
        return {}

    with scratch_folder(given.scratch) as scratch:
        pictures = PictureSet(scratch / "pictures", TRAIN_IMAGES, VAL_IMAGES)
        make_pictures(pictures)
        weights = make_weights("resnet18", pictures, scratch / "weights")
        job_file = scratch / "sweep.json"
        job = {"table": str(pictures.table), "weights": str(weights), "image_size": IMAGE_SIZE, "epochs": EPOCHS}
        trials = [{**FIXED, **params} for params in trial_list(AXES, TRIALS)]
        job_file.write_text(json.dumps({**job, "augment": "none", "trials": trials}))

        def command(module: str, *mode: str) -> Callable[[Path], list[str]]:
            run = [sys.executable, "-m", f"benchmarks.{module}", *mode, str(job_file)]
            return lambda folder: [*run, str(folder / "outcomes.json")]

        contenders = [
            Contender(SHARED, command("sweep_trials", "shared"), reading(times, SHARED)),
            Contender(BLOCKS, command("sweep_trials", "blocks"), read_blocks),
            Contender(UNSHARED, command("sweep_trials", "unshared"), reading(times, UNSHARED)),
        ]
        if not given.without_ray:
            contenders.append(Contender(RAY, command("peers.ray_tune"), peer_outcomes(AXES)))
        environment = quiet_environment(THAW_WEIGHTS=str(weights.parent))
        measured = run_all(contenders, given.rounds, scratch, environment)
    del measured[BLOCKS]
    require_equal({name: measured[name] for name in (SHARED, UNSHARED)}, SHARED, EXACT)
    differences = require_equal(measured, SHARED, TOLERANCES)
    depths = [params["freeze"] for params in trials]
    ideal = statistics.median(ideal_gain(of, depths, EPOCHS, TRAIN_IMAGES, VAL_IMAGES) for of in blocks)
    seconds = {name: statistics.median(of) for name, of in times.items()}
    gain = seconds[UNSHARED] / seconds[SHARED]
    rows = [
        ["trials without sharing, CPU s", f"{seconds[UNSHARED]:.1f}"],
        ["trials with sharing, CPU s", f"{seconds[SHARED]:.1f}"],
        ["gain", f"{gain:.2f}"],
        ["ideal gain, from block times", f"{ideal:.2f}"],
        ["gain / ideal gain", f"{gain / ideal:.2f}"],
    ]
    differ = [[name, *(f"{worst[metric]:.1e}" for metric in TOLERANCES)] for name, worst in differences.items()]
    tables = {
        f"{TRIALS} trials x {EPOCHS} epochs": as_text(rows, ["", ""]),
        "Whole commands (ours: one process, one thread)": as_text(ratio_rows(measured, SHARED), RATIO_HEADERS),
        "Largest difference, over all trials and epochs": as_text(differ, ["", *TOLERANCES]),
    }
    made = facts(f"python -m benchmarks.freeze_sweep {' '.join(sys.argv[1:])}", given.rounds)
    publish(given.out, made, tables, {"runs": numbers_of(measured), "trials_cpu_seconds": times, "blocks": blocks})


if __name__ == "__main__":
    main()
