"""Logs of searches, written by hand."""

from __future__ import annotations

from typing import Any

from tuner.store import Store

METRIC = "average_precision_macro"


def begin(store: Store, trials: int = 6, **fields: Any) -> None:
    """The search's first event."""
    facts: dict[str, Any] = {
        "name": store.name,
        "space": "quick",
        "about": "told by hand",
        "objective": {"metric": METRIC, "direction": "maximize"},
        "trials": trials,
        "axes": ["backbone", "optimizer.lr"],
        "scheduler": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3},
        "data": {"hash": "ab" * 32, "sizes": {"train": 20, "val": 20}},
        "labels": ["cat", "dog"],
    }
    store.append("search_started", **(facts | fields))


def trial(
    store: Store, number: int, *values: float | None, status: str | None = "complete", backbone: str = "lite0",
    baseline: bool = False, **ended: Any,
) -> None:  # fmt: skip
    """A trial with these values by epoch; with no status it goes on."""
    id = f"t{number:04}"
    config = {"backbone": backbone, "freeze": "all", "optimizer": {"lr": 10.0**-number}, "epochs": 9}
    store.append(
        "trial_started", id, number=number - 1, config=config, params={"backbone": backbone}, baseline=baseline,
        freeze_blocks=9, total_blocks=9,
    )  # fmt: skip
    for at, value in enumerate(values, start=1):
        epoch(store, number, at, value)
    if status:
        store.append("trial_ended", id, status=status, error=None, **ended)


def epoch(store: Store, number: int, at: int, value: float | None, **fields: Any) -> None:
    """One more epoch; values are taken to rise."""
    told = {"value": value, "best_value": value, "best_epoch": at, "val": {METRIC: value}, "seconds": 1.5 * at}
    store.append("epoch", f"t{number:04}", epoch=at, step=at, **(told | fields))


def end(store: Store, status: str = "complete") -> None:
    store.append("search_ended", status=status, reason="")
