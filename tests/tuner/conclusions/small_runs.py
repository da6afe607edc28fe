"""Small tables of runs, and small searches as an event log tells them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tuner.conclusions.runs import Level, Run, Runs
from tuner.records import EpochRecord, SearchRecord, TrialRecord

Curve = Sequence[tuple[float, float, float]]
"""(objective, validation loss, training loss) an epoch"""


def make_runs(rows: Iterable[tuple[Mapping[str, Level], float]], **fields: Any) -> Runs:
    """Runs of (settings, value) with f1 to be large; `fields` replace those of the table."""
    made = tuple(Run(f"r{at}", dict(settings), value) for at, (settings, value) in enumerate(rows))
    settings = tuple(dict.fromkeys(name for row in made for name in row.settings))
    given: dict[str, Any] = {"metric": "f1", "direction": "maximize", "rows": made, "settings": settings}
    return Runs(**given | fields)


def points(**axes: Sequence[Level]) -> list[dict[str, Level]]:
    """Every combination of levels."""
    return [dict(zip(axes, levels, strict=True)) for levels in itertools.product(*axes.values())]


def make_trial(number: int, value: float | None = None, curve: Curve = (), **fields: Any) -> TrialRecord:
    """A trial that is best at its last epoch, or one of this curve; `fields` replace."""
    told = curve or ([(value, 0.5, 0.5)] if value is not None else [])
    best = max(range(len(told)), key=lambda at: told[at][0], default=0)
    epochs = [
        EpochRecord(
            epoch=at + 1,
            step=at + 1,
            value=now,
            best_value=max(row[0] for row in told[: at + 1]),
            best_epoch=best + 1 if at >= best else at + 1,
            val={"loss": val},
            train_loss=train,
        )
        for at, (now, val, train) in enumerate(told)
    ]
    given: dict[str, Any] = {"id": f"t{number:04}", "number": number - 1, "epochs": tuple(epochs), "status": "complete"}
    return TrialRecord(**given | fields)


def make_search(*trials: TrialRecord, **fields: Any) -> SearchRecord:
    """A grid over whatever the trials' params hold; `fields` replace."""
    given: dict[str, Any] = {"name": "small", "metric": "f1_macro", "sampler": "grid", "scheduler": {"kind": "none"}}
    return SearchRecord(**given | {"trials": trials} | fields)
