"""What a trial costs beside its own work: trials that do nothing, and heads trained on features that are there.

    python -m benchmarks.overhead noop [--trials 200] [--rounds 2]
    python -m benchmarks.overhead heads [--trials 100] [--rounds 2]

noop: 3 reports a trial, one worker, in our whole search loop and in bare Ray Tune with actor reuse, as a class and as a
function, with Ray's own result files, which are its record, and without. heads: `tuner search`, one worker, of linear
and MLP heads on ResNet18 at 96 pixels, 480 + 120 pictures, against the same steps, validation passes and one metric in
a plain loop over features in memory.

A trial's cost is what is spent between two trials' ends, over the number of trials that end between them, from the
tenth end on: neither Ray's start nor the first features are in it.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import frozen_heads
from benchmarks.comparing import (
    RATIO_HEADERS,
    Contender,
    Measured,
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
)
from benchmarks.frozen_heads import LIMIT, OURS, events_of
from benchmarks.measuring import Cost
from benchmarks.pictures import PictureSet, make_pictures, make_weights

REPORTS = 3
WARM_AFTER = 10
"""trials that have ended before costs count"""
CLASS, FUNCTION, UNLOGGED = "Ray Tune, class", "Ray Tune, function", "Ray Tune, class, nothing recorded"

Ends = Callable[[Path], Sequence[float]]
"""when the trials of the run in a folder ended, in seconds since 1970"""


def our_ends(folder: Path) -> list[float]:
    ends = [event["time"] for event in events_of(folder) if event["kind"] == "trial_ended"]
    return [datetime.fromisoformat(end).timestamp() for end in ends]


def their_ends(folder: Path) -> list[float]:
    found: list[float] = json.loads((folder / "ends.json").read_text())
    return found


def per_trial(cost: Cost, ends: Sequence[float]) -> tuple[float, float]:
    """Wall and CPU milliseconds of a trial, once it is warm."""
    first, last = ends[WARM_AFTER - 1] - cost.began, ends[-1] - cost.began
    trials = len(ends) - WARM_AFTER
    return 1000 * (last - first) / trials, 1000 * (cost.cpu_until(last) - cost.cpu_until(first)) / trials


class Marginal:
    """Costs of a trial, of each contender in each round."""

    def __init__(self, scratch: Path, ends: dict[str, Ends]) -> None:
        self.scratch = scratch
        self.ends = ends
        self.found: dict[str, list[list[float]]] = {name: [] for name in ends}

    def reading(self, name: str) -> Callable[[Path], dict[str, Any]]:
        def read(folder: Path) -> dict[str, Any]:
            self.found[name].append(list(self.ends[name](folder)))
            return {}

        return read

    def medians(self, measured: dict[str, Measured]) -> dict[str, tuple[float, float]]:
        found = {}
        for name, runs in self.found.items():
            costs = [per_trial(*pair) for pair in zip(measured[name].costs, runs, strict=True)]
            wall, cpu = (statistics.median(column) for column in zip(*costs, strict=True))
            found[name] = (wall, cpu)
        return found


def noop(trials: int, rounds: int, scratch: Path) -> tuple[dict[str, str], dict[str, Any]]:
    ends = {OURS: our_ends, CLASS: their_ends, FUNCTION: their_ends, UNLOGGED: their_ends}
    marginal = Marginal(scratch, ends)
    count = [str(trials), str(REPORTS)]

    def ours(folder: Path) -> list[str]:
        return [sys.executable, "-m", "benchmarks.noop_search", *count, str(folder)]

    def peer(kind: str, *settings: str) -> Callable[[Path], list[str]]:
        run = ["env", *settings, sys.executable, "-m", "benchmarks.peers.ray_noop", kind, *count]
        return lambda folder: [*run, str(folder / "ends.json")]

    unlogged = peer("class", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS=1")
    commands = {OURS: ours, CLASS: peer("class"), FUNCTION: peer("function"), UNLOGGED: unlogged}
    contenders = [Contender(name, command, marginal.reading(name)) for name, command in commands.items()]
    measured = run_all(contenders, rounds, scratch, quiet_environment())
    each = marginal.medians(measured)
    rows = [
        [name, f"{wall:.0f}", f"{cpu:.0f}", f"{each[OURS][0] / wall:.2f}", f"{each[OURS][1] / cpu:.2f}"]
        for name, (wall, cpu) in each.items()
    ]
    tables = {
        f"A trial of {trials} that do nothing": as_text(
            rows, ["", "wall ms", "CPU ms", "ours / it, wall", "ours / it, CPU"]
        ),
        "Whole commands": as_text(ratio_rows(measured, OURS), RATIO_HEADERS),
    }
    return tables, {"runs": numbers_of(measured), "per_trial_ms": each}


def heads(trials: int, rounds: int, scratch: Path) -> tuple[dict[str, str], dict[str, Any]]:
    pictures = PictureSet(scratch / "pictures", frozen_heads.TRAIN_IMAGES, frozen_heads.VAL_IMAGES)
    make_pictures(pictures)
    weights = make_weights("resnet18", pictures, scratch / "weights")
    rates = [10 ** -(2 + place / 10) for place in range(-(-trials // 8))]
    axes = frozen_heads.AXES | {"optimizer.lr": rates}
    every = frozen_heads.contenders_of(pictures, weights, trials, "none", scratch, axes)
    by_name = {contender.name: contender for contender in every}
    environment = quiet_environment(THAW_WEIGHTS=str(weights.parent))
    marginal = Marginal(scratch, {OURS: our_ends})
    own: list[float] = []

    def read_ours(folder: Path) -> Any:
        marginal.reading(OURS)(folder)
        return by_name[OURS].outcomes(folder)  # type: ignore[misc]

    def read_own(folder: Path) -> Any:
        found = json.loads((folder / "outcomes.json").read_text())
        own.append(1000 * statistics.mean(one["cpu_seconds"] for one in found[WARM_AFTER:]))
        return by_name[LIMIT].outcomes(folder)  # type: ignore[misc]

    contenders = [
        Contender(OURS, lambda folder: [*by_name[OURS].command(folder), "--workers", "1"], read_ours),
        Contender(LIMIT, by_name[LIMIT].command, read_own),
    ]
    measured = run_all(contenders, rounds, scratch, environment)
    require_equal(measured, OURS, frozen_heads.TOLERANCES)
    wall, cpu = marginal.medians(measured)[OURS]
    compute = statistics.median(own)
    rows = [["`tuner search`", f"{cpu:.0f}"], ["its own compute, in a plain loop", f"{compute:.0f}"]]
    title = f"A trial of {trials} heads, {frozen_heads.EPOCHS} epochs, one at a time (ours: {wall:.0f} ms wall)"
    tables = {title: as_text(rows, ["", "CPU ms"])}
    return tables, {"runs": numbers_of(measured), "per_trial_ms": {"ours": [wall, cpu], "own compute": compute}}


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("what", choices=["noop", "heads"])
    options.add_argument("--trials", type=int, help="default: 200 that do nothing, 100 heads")
    given = options.parse_args()
    with scratch_folder(given.scratch) as scratch:
        if given.what == "noop":
            tables, numbers = noop(given.trials or 200, given.rounds, scratch)
        else:
            tables, numbers = heads(given.trials or 100, given.rounds, scratch)
    made = facts(f"python -m benchmarks.overhead {' '.join(sys.argv[1:])}", given.rounds)
    publish(given.out, made, tables, numbers)


if __name__ == "__main__":
    main()
