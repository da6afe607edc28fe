"""A small search to the end, and as a kill left it; what of it must be equal however it came to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_searches import tiny_space, write_labels_csv, write_space
from small_trials import MEASURED

from tuner.config import SearchConfig, parse_options
from tuner.records import SearchRecord
from tuner.store import Event, Store

MEASURED_OF_TRIALS = {*MEASURED, "time", "updated"}
Left = Callable[[Callable[[list[Event]], int]], Store]
"""left(events -> how many of them): the search as a kill after that event left it"""


class GridOfFour:
    """The inputs of a grid of four trials, the best of which is repeated and scored on test."""

    def __init__(self, folder: Path) -> None:
        axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 1e-2]}}
        space = tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2})
        self.space = write_space(folder / "space.yaml", space)
        self.data = write_labels_csv(folder / "data")

    def config(self, results: str | Path) -> SearchConfig:
        options: dict[str, Any] = {"name": "new", "results": results, "data": {"path": self.data}, "trials": 4}
        return parse_options(SearchConfig, space=str(self.space), reruns={"repeats": 1}, top_k=1, **options)


def first(kind: str, **fields: Any) -> Callable[[list[Event]], int]:
    """How many events there are up to the first of this kind, itself among them."""

    def place(events: list[Event]) -> int:
        wanted = {"kind": kind, **fields}
        return 1 + next(at for at, event in enumerate(events) if wanted.items() <= event.items())

    return place


def told(search: SearchRecord) -> dict[str, Any]:
    """What a search came to, without what is measured anew."""
    trials = {}
    for trial in (*search.trials, *search.reruns):
        epochs = [
            {name: value for name, value in vars(epoch).items() if name not in MEASURED_OF_TRIALS}
            for epoch in trial.epochs
        ]
        trials[trial.id] = (trial.number, trial.config, trial.params, trial.status, dict(trial.test), epochs)
    references = {reference.name: (reference.val, reference.test) for reference in search.references}
    return {"trials": trials, "references": references, "status": search.status, "test_reads": search.test_reads}
