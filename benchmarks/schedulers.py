"""What halving costs and what it loses: every scheduler on the same recorded learning curves.

    python -m benchmarks.schedulers [--sets openmoji fluent stamps] [--trials 28 64] [--seeds 20] [--clock seconds]

A search is replayed: trials in an order drawn by the seed, out of the grid that benchmarks/record_curves.py trained, on
1, 4 and 8 workers. Ray's stock ASHA is its own class, driven without a cluster; ours are those that `tuner search`
runs. `random` trains as many trials to the end as stock ASHA's epochs allow. Every search picks the best of the trials
that ran to the end; its regret is the difference to the best of all that it could have had, in points of the
objective (0.01 = 1 point). Workers take as long as training took when the curves were recorded. Shares are of sums over
seeds. Intervals are 95 % t-intervals over seeds, paired by seed, means over workers first; they say what another draw
of trials from these grids would give, not another picture set.

One trial is exempt in the rows `baseline kept`, as `tuner search` never halts its baseline; in the others none is.
The order of promotions and first rungs of three quarters of an epoch, or of half a one where the baseline is kept, were
chosen on openmoji and fluent for 28 trials, before stamps was read; stamps then bore out the former and not the latter.
"""

from __future__ import annotations

import argparse
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.comparing import ROOT, as_text, publish
from benchmarks.recorded import CURVES, Grid, read_grid
from benchmarks.simulated import Clock, Outcome, replay_search
from search_spaces import schedulers
from tuner.ray_backend.halving.choosing import make_halving
from tuner.ray_backend.halving.protocol import Decision, Halving, NoHalving

WORKERS = (1, 4, 8)
STOCK, RANDOM = "Ray's ASHA", "random"
HEADERS = (
    "scheduler",
    f"epochs on {', '.join(map(str, WORKERS))} workers",
    f"of {STOCK}'s",
    "time on 8 workers, of same",
    "regret",
    f"minus {STOCK}'s",
)

Floats = npt.NDArray[np.float64]
Spec = schedulers.Halving | schedulers.NoScheduler


class StockAsha(NoHalving):
    """Ray's AsyncHyperBandScheduler, told the raw objective after whole epochs as a plain Ray Tune script would."""

    def __init__(self, grid: Grid) -> None:
        from ray.tune.schedulers import AsyncHyperBandScheduler

        self._grid = grid
        mode = "max" if grid.direction == "maximize" else "min"
        self._asha = AsyncHyperBandScheduler(
            time_attr="epoch", metric="value", mode=mode, max_t=round(grid.horizon), reduction_factor=3
        )

    def started(self, trial: str, stratum: str = "") -> None:  # noqa: ARG002
        self._asha.on_trial_add(None, SimpleNamespace(trial_id=trial))

    def report(self, trial: str, epoch: float, best_so_far: float | None) -> Decision:  # noqa: ARG002
        if not float(epoch).is_integer():
            return "go_on"
        value = self._grid.trials[trial].values[self._grid.epochs.index(epoch)]
        result = {"epoch": epoch, "value": value}
        said = self._asha.on_trial_result(None, SimpleNamespace(trial_id=trial), result)
        return "stop" if said == self._asha.STOP else "go_on"


def ours(spec: Spec, *, baseline_kept: bool = False) -> Callable[[Grid, Sequence[str]], Halving]:
    def made(grid: Grid, order: Sequence[str]) -> Halving:
        return make_halving(spec, grid.horizon, grid.direction, exempt=order[:baseline_kept])

    return made


CONTENDERS: dict[str, Callable[[Grid, Sequence[str]], Halving]] = {
    STOCK: lambda grid, _: StockAsha(grid),
    "none": ours(schedulers.NoScheduler()),
    RANDOM: ours(schedulers.NoScheduler()),
    "one_epoch, keep 3": ours(schedulers.OneEpoch(keep=3)),
    "asha": ours(schedulers.Asha()),
    "asha from 0.75": ours(schedulers.Asha(grace_epochs=0.75)),
    "pausing_asha": ours(schedulers.PausingAsha()),
    "pausing_asha, eager": ours(schedulers.PausingAsha(eager=True)),
    "pausing_asha from 0.75": ours(schedulers.PausingAsha(grace_epochs=0.75)),
    "pausing_asha from 0.5": ours(schedulers.PausingAsha(grace_epochs=0.5)),
    "pausing_asha from 0.25": ours(schedulers.PausingAsha(grace_epochs=0.25)),
    "asha, baseline kept": ours(schedulers.Asha(), baseline_kept=True),
    "pausing_asha from 0.75, baseline kept": ours(schedulers.PausingAsha(grace_epochs=0.75), baseline_kept=True),
    "pausing_asha from 0.5, baseline kept": ours(schedulers.PausingAsha(grace_epochs=0.5), baseline_kept=True),
}
"""stock ASHA first: the others are measured against it"""


@dataclass(frozen=True)
class Measured:
    """A contender on one picture set. Each array has a row a seed and a column a number of workers."""

    epochs: Floats
    regret: Floats
    """points"""
    duration: Floats


def main() -> None:
    arguments = parse_arguments()
    grids = {name: read_grid(CURVES / f"{name}.json") for name in arguments.sets}
    tables, numbers = {}, {}
    for trials in arguments.trials:
        measured = {name: measure(grid, trials, arguments.seeds, arguments.clock) for name, grid in grids.items()}
        if len(measured) > 1:
            measured[f"the {len(measured)} sets together"] = together(list(measured.values()))
        for name, contenders in measured.items():
            held_out = ", held out" if name in grids and grids[name].held_out else ""
            tables[f"{name}{held_out}, {trials} trials"] = as_text(table_rows(contenders), HEADERS)
            numbers[f"{name} {trials}"] = {contender: arrays(of) for contender, of in contenders.items()}
    publish(arguments.out, made_with(arguments), tables, numbers)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replay recorded learning curves under every scheduler.")
    parser.add_argument(
        "--sets", nargs="+", default=["openmoji", "fluent", "stamps"], help="files of benchmarks/curves"
    )
    parser.add_argument("--trials", nargs="+", type=int, default=[28, 64], help="drawn from a grid; default 28 and 64")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="seconds", help="what a trial's time is")
    parser.add_argument("--out", type=Path, help="also write everything to this JSON file")
    return parser.parse_args()


def epochs_clock(grid: Grid) -> Clock:
    """Every epoch takes as long."""
    return lambda _, evaluation: grid.epochs[evaluation]


def seconds_clock(grid: Grid) -> Clock:
    """As long as it took when the curves were recorded."""
    return lambda trial, evaluation: grid.trials[trial].seconds[evaluation]


CLOCKS: dict[str, Callable[[Grid], Clock]] = {"epochs": epochs_clock, "seconds": seconds_clock}


def measure(grid: Grid, trials: int, seeds: int, clock: str) -> dict[str, Measured]:
    """Every contender on `seeds` draws of so many trials."""
    found: dict[str, list[list[tuple[float, float, float]]]] = {name: [] for name in CONTENDERS}
    for seed in range(seeds):
        order = random.Random(seed).sample(sorted(grid.trials), min(trials, len(grid.trials)))
        of_workers = [search_all(grid, order, workers, CLOCKS[clock](grid)) for workers in WORKERS]
        for name in CONTENDERS:
            found[name].append([of_one[name] for of_one in of_workers])
    return {name: Measured(*np.moveaxis(np.array(of_seeds), -1, 0)) for name, of_seeds in found.items()}


def search_all(grid: Grid, order: Sequence[str], workers: int, clock: Clock) -> dict[str, tuple[float, float, float]]:
    """Contender -> epochs, regret in points, duration."""
    found: dict[str, tuple[float, float, float]] = {}
    for name, make in CONTENDERS.items():
        affordable = round(found[STOCK][0] / grid.horizon) if name == RANDOM else len(order)
        outcome = replay_search(grid, order[:affordable], make(grid, order), workers, clock)
        found[name] = (outcome.epochs(grid), regret(grid, order, outcome), outcome.duration)
    return found


def regret(grid: Grid, order: Sequence[str], outcome: Outcome) -> float:
    """Points between the best of all trials and the best of those that ran to the end."""
    sign = 1 if grid.direction == "maximize" else -1
    final = {trial: sign * grid.bests[trial][-1] for trial in order}
    return 100 * (max(final.values()) - max(final[trial] for trial in outcome.finished))


def together(of_sets: Sequence[Mapping[str, Measured]]) -> dict[str, Measured]:
    """Means over picture sets, seed by seed."""

    def mean(name: str, field: str) -> Floats:
        found: Floats = np.mean([getattr(contenders[name], field) for contenders in of_sets], axis=0)
        return found

    return {name: Measured(mean(name, "epochs"), mean(name, "regret"), mean(name, "duration")) for name in CONTENDERS}


def table_rows(contenders: Mapping[str, Measured]) -> list[list[str]]:
    stock = contenders[STOCK]
    rows = []
    for name, of in contenders.items():
        epochs = ", ".join(f"{count:.0f}" for count in of.epochs.mean(axis=0))
        time = of.duration[:, -1].mean() / stock.duration[:, -1].mean()
        share = share_of_sums(of.epochs.mean(axis=1), stock.epochs.mean(axis=1))
        lost = of.regret.mean(axis=1) - stock.regret.mean(axis=1)
        compared = ["", ""] if name == STOCK else [with_interval(100 * share, ".0f", " %"), with_interval(lost, "+.2f")]
        rows.append([name, epochs, compared[0], f"{100 * time:.0f} %", f"{of.regret.mean():.2f}", compared[1]])
    return rows


def share_of_sums(part: Floats, whole: Floats) -> Floats:
    """Numbers whose mean is sum(part) / sum(whole) and whose scatter is that ratio's (linearised, Cochran 1977)."""
    ratio = part.sum() / whole.sum()
    found: Floats = ratio + (part - ratio * whole) / whole.mean()
    return found


def with_interval(of_seeds: Floats, form: str, unit: str = "") -> str:
    """The mean of as many numbers as there are seeds, and its 95 % t-interval."""
    mean = of_seeds.mean()
    half = stats.t.ppf(0.975, len(of_seeds) - 1) * of_seeds.std(ddof=1) / np.sqrt(len(of_seeds))
    return f"{mean:{form}}{unit} [{mean - half:{form}}, {mean + half:{form}}]"


def arrays(of: Measured) -> dict[str, list[list[float]]]:
    return {name: values.round(6).tolist() for name, values in vars(of).items()}


def made_with(arguments: argparse.Namespace) -> dict[str, str | int]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {"commit": commit.stdout.strip(), "seeds": arguments.seeds, "clock": arguments.clock}


if __name__ == "__main__":
    main()
