"""Record the learning curves of a whole grid on one picture set, for benchmarks/schedulers.py to replay.

    python benchmarks/datasets.py fluent data/fluent
    python -m benchmarks.record_curves fluent data/fluent [--results results/curves]

Runs benchmarks/curves/space.yaml by `tuner search` on one worker, every trial to its last epoch, and writes what the
search's log tells to benchmarks/curves/SET.json. A search that is in --results already is only read. Pictures, split,
seed and one thread make the values; the seconds are this machine's.

Stamps is held out: no grace, factor or rule of any scheduler was or is to be chosen by its curves. They only confirm.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.recorded import CURVES, Curve, Grid, write_grid
from tuner.records import SearchRecord, TrialRecord
from tuner.store import Store

SETS = ("openmoji", "fluent", "stamps")
HELD_OUT = "stamps"
SPACE = CURVES / "space.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a grid on a picture set and keep its learning curves.")
    parser.add_argument("name", choices=SETS, metavar="SET", help=", ".join(SETS))
    parser.add_argument("data", type=Path, metavar="DATA", help="what `python benchmarks/datasets.py SET DATA` made")
    parser.add_argument("--results", type=Path, default=Path("results/curves"), help="folder of the searches")
    arguments = parser.parse_args()
    if not (arguments.results / arguments.name).exists():
        search(arguments.name, arguments.data, arguments.results)
    grid = as_grid(Store.open(arguments.name, arguments.results).record(), held_out=arguments.name == HELD_OUT)
    written = CURVES / f"{arguments.name}.json"
    write_grid(grid, written)
    print(f"{len(grid.trials)} curves in {written}")


def search(name: str, data: Path, results: Path) -> None:
    options = ("--data", data, "--name", name, "--results", results, "--workers", "1", "--top", "1")
    subprocess.run((sys.executable, "-m", "tuner.cli", "search", SPACE, *options), check=True)


def as_grid(record: SearchRecord, *, held_out: bool) -> Grid:
    """A finished search as curves.

    Raises:
        ValueError: a trial did not reach the last epoch, or was scored at other epochs than the first one.
    """
    epochs = [epoch.epoch for epoch in record.trials[0].epochs]
    for trial in record.trials:
        if trial.status != "complete" or [epoch.epoch for epoch in trial.epochs] != epochs:
            raise ValueError(f"{trial.id} is {trial.status} after {trial.epochs_run:g} epochs: every trial must finish")
    made = {
        "command": f"python -m benchmarks.record_curves {record.name} DATA",
        "date": record.started[:10],
        "commit": record.git,
        "versions": record.versions,
        "data": {name: record.data[name] for name in ("hash", "sizes")},
        "labels": len(record.labels),
    }
    trials = {trial.id: as_curve(trial) for trial in record.trials}
    return Grid(made, held_out, record.metric, record.direction, epochs, trials)


def as_curve(trial: TrialRecord) -> Curve:
    values = [round(epoch.value, 6) for epoch in trial.epochs if epoch.value is not None]
    seconds = [round(epoch.seconds, 2) for epoch in trial.epochs if epoch.seconds is not None]
    return Curve(trial.params, values, seconds)


if __name__ == "__main__":
    main()
