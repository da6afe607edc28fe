"""A frozen-head search: Thaw against plain Ray Tune, an Optuna-only script and the least that it can cost.

    python -m benchmarks.frozen_heads [--augment light] [--trials 20] [--rounds 2]

Trials (learning rate x head x schedule x pos_weight, the first 20 of 24) of 5 epochs, ResNet18 wholly frozen at 96
pixels, 480 + 120 JPEGs. Ours is `tuner search` in full, as a user runs it: proving, Ray, trials, references, report.
Two CPU threads for everyone: up to two workers of one thread, or one process of two. Both sides have the same trials,
weights, order of batches and views, and the run fails where validation losses or scores differ.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.comparing import (
    RATIO_HEADERS,
    Contender,
    Measured,
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
from benchmarks.measuring import Cost
from benchmarks.pictures import PictureSet, make_pictures, make_weights
from search_spaces.document import write_yaml

AXES: dict[str, list[Any]] = {
    "head.kind": ["linear", "mlp"],
    "loss.pos_weight": ["none", "balanced"],
    "optimizer.lr": [1e-2, 1e-3, 1e-4],
    "schedule.kind": ["constant", "cosine"],
}
EPOCHS, IMAGE_SIZE, TRIALS = 5, 96, 20
TRAIN_IMAGES, VAL_IMAGES = 480, 120
OURS, RAY, OPTUNA, LIMIT, RAY_START = "Thaw", "Ray Tune", "Optuna only", "limit", "bare Ray start"
TOLERANCES = {"loss": 1e-4, "f2_macro": 0.01}
"""sums in another order move logits in the seventh digit, which can move one image of 120 across a threshold"""


def trial_list(axes: dict[str, list[Any]], trials: int) -> list[dict[str, Any]]:
    """The first so many of the product, the last axis fastest."""
    points = itertools.islice(itertools.product(*axes.values()), trials)
    return [dict(zip(axes, point, strict=True)) for point in points]


def space_of(axes: dict[str, list[Any]], augment: str) -> dict[str, Any]:
    """The same as a space for `tuner search`: a grid, whose first point is the baseline."""
    return {
        "version": 1,
        "about": "the benchmark's trials",
        "task": "multilabel",
        "objective": "f2_macro",
        "sampler": "grid",
        "scheduler": "none",
        "fixed": {
            "backbone": "resnet18",
            "freeze": "all",
            "image_size": IMAGE_SIZE,
            "epochs": EPOCHS,
            "batch_size": 32,
            "augment": augment,
        },
        "baseline": {path: values[0] for path, values in axes.items()},
        "axes": {path: {"choice": values} for path, values in axes.items()},
    }


def our_outcomes(axes: dict[str, list[Any]]) -> Callable[[Path], Outcomes]:
    """From the event log of a search."""

    def read(folder: Path) -> Outcomes:
        params: dict[str, str] = {}
        found: dict[str, list[dict[str, float]]] = {}
        for event in events_of(folder):
            if event["kind"] == "trial_started":
                params[event["trial"]] = trial_key({path: _at(event["config"], path) for path in axes})
            elif event["kind"] == "epoch":
                val = event["val"]
                shown = {"loss": val["loss"], "f2_macro": val["f2_macro"]}
                found.setdefault(params[event["trial"]], []).append(shown)
        return found

    return read


def events_of(folder: Path) -> list[dict[str, Any]]:
    log = folder / "results" / "ours" / "events.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()]


def _at(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = config[part]
    return config


def peer_outcomes(axes: dict[str, list[Any]]) -> Callable[[Path], Outcomes]:
    """From the JSON that a peer writes."""

    def read(folder: Path) -> Outcomes:
        found = json.loads((folder / "outcomes.json").read_text())
        return {trial_key({path: one["params"][path] for path in axes}): one["epochs"] for one in found}

    return read


def contenders_of(
    pictures: PictureSet, weights: Path, trials: int, augment: str, scratch: Path, axes: dict[str, list[Any]] = AXES
) -> list[Contender]:
    job = {
        "table": str(pictures.table),
        "weights": str(weights),
        "image_size": IMAGE_SIZE,
        "epochs": EPOCHS,
        "augment": augment,
        "trials": [{**one, "freeze": 5} for one in trial_list(axes, trials)],
    }
    job_file, space_file = scratch / "job.json", scratch / "space.yaml"
    job_file.write_text(json.dumps(job))
    space_file.write_text(write_yaml(space_of(axes, augment)))

    def ours(folder: Path) -> list[str]:
        options = {"--data": pictures.table, "--results": folder / "results", "--name": "ours", "--trials": trials}
        return [
            sys.executable,
            "-m",
            "tuner.cli",
            "search",
            str(space_file),
            *map(str, itertools.chain(*options.items())),
        ]

    def peer(module: str) -> Callable[[Path], Sequence[str]]:
        run = [sys.executable, "-m", f"benchmarks.peers.{module}", str(job_file)]
        return lambda folder: [*run, str(folder / "outcomes.json")]

    theirs = peer_outcomes(axes)
    return [
        Contender(OURS, ours, our_outcomes(axes)),
        Contender(RAY, peer("ray_tune"), theirs),
        Contender(OPTUNA, peer("optuna_only"), theirs),
        Contender(LIMIT, peer("limit"), theirs),
        Contender(RAY_START, lambda _: [sys.executable, "-m", "benchmarks.peers.ray_start"]),
    ]


def parts_of(folder: Path, cost: Cost) -> list[tuple[str, float, float]]:
    """(part, wall seconds, CPU seconds seen) of one of our searches, from its log and cache."""
    events = events_of(folder)
    at = [datetime.fromisoformat(event["time"]).timestamp() - cost.began for event in events]

    def last(*kinds: str) -> float:
        return max(when for when, event in zip(at, events, strict=True) if event["kind"] in kinds)

    def first(kind: str) -> float:
        return next(when for when, event in zip(at, events, strict=True) if event["kind"] == kind)

    decoded = max(file.stat().st_mtime for file in (folder / "cache" / "images").glob("*/scan.json")) - cost.began
    ends = {
        "imports, weights, decoding": decoded,
        "the rest of proving, Ray start": first("search_started"),
        "until the first epoch's report: workers start, first features": first("epoch"),
        "until the last trial ended": last("trial_ended"),
        "references": last("search_ended"),
        "conclusions, tables, plots, printing": cost.wall,
    }
    found, since, spent = [], 0.0, 0.0
    for part, end in ends.items():
        used = cost.cpu_until(end)
        found.append((part, end - since, used - spent))
        since, spent = end, used
    found.append(("after its end: what Ray leaves to do", 0.0, cost.cpu - spent))
    return found


def summary(measured: dict[str, Measured]) -> list[list[object]]:
    """The issue's ratios."""
    ours = measured[OURS]
    rows: list[list[object]] = [
        [f"{name} / ours", f"{measured[name].wall / ours.wall:.1f}", f"{measured[name].cpu / ours.cpu:.1f}"]
        for name in (RAY, OPTUNA)
        if name in measured
    ]
    if LIMIT in measured and RAY_START in measured:
        least, start = measured[LIMIT], measured[RAY_START]
        rows.append(
            [
                "ours / (limit + bare Ray start)",
                f"{ours.wall / (least.wall + start.wall):.2f}",
                f"{ours.cpu / (least.cpu + start.cpu):.2f}",
            ]
        )
    return rows


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--augment", choices=["none", "light"], default="none")
    options.add_argument("--trials", type=int, default=TRIALS)
    options.add_argument("--without", nargs="*", default=[], help="contenders to leave out, such as 'Optuna only'")
    given = options.parse_args()
    with scratch_folder(given.scratch) as scratch:
        pictures = PictureSet(scratch / "pictures", TRAIN_IMAGES, VAL_IMAGES)
        make_pictures(pictures)
        weights = make_weights("resnet18", pictures, scratch / "weights")
        every = contenders_of(pictures, weights, given.trials, given.augment, scratch)
        contenders = [contender for contender in every if contender.name not in given.without]
        environment = quiet_environment(THAW_WEIGHTS=str(weights.parent))
        measured = run_all(contenders, given.rounds, scratch, environment)
        differences = require_equal(measured, OURS, TOLERANCES)
        parts = parts_of(scratch / "run0", measured[OURS].costs[0])
    differ = [[name, *(f"{worst[metric]:.1e}" for metric in TOLERANCES)] for name, worst in differences.items()]
    tables = {
        f"{given.trials} trials x {EPOCHS} epochs, augment: {given.augment}": as_text(
            ratio_rows(measured, OURS), RATIO_HEADERS
        ),
        "Ratios": as_text(summary(measured), ["", "wall", "CPU"]),
        "Largest difference from ours, over all trials and epochs": as_text(differ, ["", *TOLERANCES]),
        "Parts of our first run": as_text(
            [[part, f"{wall:.1f}", f"{cpu:.1f}"] for part, wall, cpu in parts], ["", "wall s", "CPU s"]
        ),
    }
    made = facts(f"python -m benchmarks.frozen_heads {' '.join(sys.argv[1:])}", given.rounds)
    publish(given.out, made, tables, {"runs": numbers_of(measured), "parts": parts})


if __name__ == "__main__":
    main()
