"""Learning curves of whole grids, as benchmarks/curves/*.json keep them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

CURVES = Path(__file__).parent / "curves"


@dataclass(frozen=True)
class Curve:
    """One config trained to its last epoch. Both lists have one number an evaluation."""

    config: Mapping[str, Any]
    """what the grid varied"""
    values: Sequence[float]
    """the objective on validation, raw"""
    seconds: Sequence[float]
    """of training and evaluating since the trial began"""


@dataclass(frozen=True)
class Grid:
    """Every config of a space, trained on one picture set."""

    made: Mapping[str, Any]
    """with what, when and by which command"""
    held_out: bool
    """whether no choice may be tuned on this set"""
    metric: str
    direction: Literal["maximize", "minimize"]
    epochs: Sequence[float]
    """of each evaluation; the last is the horizon"""
    trials: Mapping[str, Curve]

    @cached_property
    def bests(self) -> dict[str, list[float]]:
        """Trial -> the best objective up to each evaluation."""
        better = max if self.direction == "maximize" else min
        return {trial: list(accumulate(curve.values, better)) for trial, curve in self.trials.items()}

    @property
    def horizon(self) -> float:
        """Epochs of a whole trial."""
        return self.epochs[-1]


def read_grid(path: Path) -> Grid:
    stored = json.loads(path.read_text("utf-8"))
    trials = {trial: Curve(**curve) for trial, curve in stored.pop("trials").items()}
    return Grid(**stored, trials=trials)


def write_grid(grid: Grid, path: Path) -> None:
    """A line a field, and a line a trial."""
    fields = {name: getattr(grid, name) for name in ("made", "held_out", "metric", "direction", "epochs")}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    trials = [f"{json.dumps(trial)}: {json.dumps(vars(curve))}" for trial, curve in grid.trials.items()]
    lines.append('"trials": {\n' + ",\n".join(trials) + "\n}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
