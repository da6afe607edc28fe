"""Contenders in one run: in the order A B B A, their medians as ratios, refused where their results differ."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.measuring import Cost, measure

ROOT = Path(__file__).parent.parent

Outcomes = Mapping[str, Sequence[Mapping[str, float]]]
"""trial (its params as JSON with sorted keys) -> metrics of each epoch"""


@dataclass(frozen=True)
class Contender:
    """A command that is measured, and how to read what its trials came to from the folder that it was given."""

    name: str
    command: Callable[[Path], Sequence[str]]
    outcomes: Callable[[Path], Outcomes] | None = None
    """None: it trains nothing"""


@dataclass
class Measured:
    """What a contender did in every round."""

    costs: list[Cost] = field(default_factory=list)
    outcomes: list[Outcomes] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        return statistics.median(cost.cpu for cost in self.costs)

    @property
    def wall(self) -> float:
        return statistics.median(cost.wall for cost in self.costs)


def in_turns(names: Sequence[str], rounds: int) -> list[str]:
    """A B, then B A, and so on: what slows the machine down over time slows both."""
    return [name for number in range(rounds) for name in (names if number % 2 == 0 else reversed(names))]


def run_all(
    contenders: Sequence[Contender], rounds: int, scratch: Path, environment: Mapping[str, str]
) -> dict[str, Measured]:
    """Measure every contender so often, each time with a cache and a folder of its own."""
    by_name = {contender.name: contender for contender in contenders}
    measured = {name: Measured() for name in by_name}
    for number, name in enumerate(in_turns(list(by_name), rounds)):
        folder = scratch / f"run{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fresh = {**environment, "THAW_CACHE": str(folder / "cache")}
        contender, found = by_name[name], measured[name]
        try:
            cost = measure(contender.command(folder), log=folder / "log", environment=fresh, folder=ROOT)
        except subprocess.CalledProcessError as error:
            sys.exit(f"{name} failed:\n{error.output}")
        found.costs.append(cost)
        print(f"{name}: {cost.wall:.1f} s wall, {cost.cpu:.1f} s CPU", file=sys.stderr, flush=True)
        if contender.outcomes:
            found.outcomes.append(contender.outcomes(folder))
    return measured


def quiet_environment(**more: str) -> dict[str, str]:
    """This process's, without what would set threads or steer Ray, and without anything sent home."""
    steering = ("RAY_", "TUNE_", "OMP_", "MKL_", "THAW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return kept | {"RAY_USAGE_STATS_ENABLED": "0"} | more


def trial_key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def largest_differences(ours: Outcomes, theirs: Outcomes) -> dict[str, float]:
    """Of each metric, over all trials and epochs.

    Raises:
        ValueError: other trials or epochs.
    """
    if ours.keys() != theirs.keys():
        only = sorted(ours.keys() ^ theirs.keys())
        raise ValueError(f"not the same trials: {len(ours)} and {len(theirs)}; of one only: {only[:3]}")
    found: dict[str, float] = {}
    for trial, epochs in ours.items():
        if len(epochs) != len(theirs[trial]):
            raise ValueError(f"{trial}: {len(epochs)} and {len(theirs[trial])} epochs")
        for one, other in zip(epochs, theirs[trial], strict=True):
            for metric in one.keys() & other.keys():
                difference = abs(one[metric] - other[metric])
                # a NaN equals nothing, and max() would lose it
                found[metric] = max(found.get(metric, 0.0), math.inf if math.isnan(difference) else difference)
    return found


def require_equal(
    measured: Mapping[str, Measured], ours: str, tolerances: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """The largest difference of each metric between ours and each peer, over all their runs.

    Raises:
        SystemExit: beyond the tolerance; nothing that is fast is worth a table if it computes something else.
    """
    found: dict[str, dict[str, float]] = {}
    first = measured[ours].outcomes[0]
    for name, contender in measured.items():
        for outcomes in contender.outcomes:
            for metric, difference in largest_differences(first, outcomes).items():
                worst = found.setdefault(name, {})
                worst[metric] = max(worst.get(metric, 0.0), difference)
    for name, worst in found.items():
        for metric, allowed in tolerances.items():
            if worst[metric] > allowed:
                sys.exit(f"{name} differs from {ours} in {metric} by {worst[metric]:.3g}, allowed is {allowed:g}")
    return found


def ratio_rows(measured: Mapping[str, Measured], ours: str) -> list[list[object]]:
    """name, wall and CPU seconds, and how many times ours that is."""
    own = measured[ours]
    return [
        [name, f"{of.wall:.1f}", f"{of.cpu:.1f}", f"{of.wall / own.wall:.2f}", f"{of.cpu / own.cpu:.2f}"]
        for name, of in measured.items()
    ]


RATIO_HEADERS = ("contender", "wall s", "CPU s", "wall / ours", "CPU / ours")


def facts(command: str, rounds: int) -> dict[str, Any]:
    """What a table must say of its making."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    packages = ("torch", "torchvision", "ray", "optuna")
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "rounds": rounds,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[1], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def as_text(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def publish(out: Path | None, made: Mapping[str, Any], tables: Mapping[str, str], numbers: Mapping[str, Any]) -> None:
    """Tables to stdout as Markdown; everything to a JSON file where one is asked for."""
    print(", ".join(f"{name} {value}" for name, value in made.items()))
    for title, table in tables.items():
        print(f"\n{title}\n\n{table}")
    if out:
        out.write_text(json.dumps({"made": made, "tables": tables, **numbers}, indent=1) + "\n")


def numbers_of(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Every run's cost, as JSON takes it."""
    return {
        name: [{"wall_seconds": cost.wall, "cpu_seconds": cost.cpu} for cost in of.costs]
        for name, of in measured.items()
    }


def parser(about: str, *, rounds: int = 2) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--rounds", type=int, default=rounds, help=f"{rounds} (default): A B B A; 1: a quick look, A B")
    made.add_argument("--out", type=Path, help="also write everything to this JSON file")
    made.add_argument("--scratch", type=Path, help="keep pictures and runs here; default: a folder that is removed")
    return made


@contextmanager
def scratch_folder(given: Path | None) -> Iterator[Path]:
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="thaw-benchmark-") as made:
        yield Path(made)
