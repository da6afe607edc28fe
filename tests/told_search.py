"""Searches that nobody trained."""

from __future__ import annotations

from typing import Any

from tuner.store import Store


class ToldSearch:
    """A search whose log is written by hand."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def begin(self, **fields: Any) -> None:
        facts = {"name": self.store.name, "space": "quick", "objective": {"metric": "f2", "direction": "maximize"}}
        facts |= {"trials": 3, "top_k": 2, "axes": ["optimizer.lr", "freeze"], "scheduler": {"kind": "asha"}}
        self.store.append("search_started", **facts, **fields)

    def begin_trial(self, trial: str, number: int, lr: float = 0.1, **fields: Any) -> None:
        config = {"backbone": "lite0", "freeze": "all", "optimizer": {"lr": lr}, "micro_batch": None, "epochs": 3}
        params = {"optimizer.lr": lr, "freeze": "all"}
        self.store.append("trial_started", trial, number=number, config=config, params=params, **fields)

    def epoch(self, trial: str, epoch: int, value: float) -> None:
        best = {"best_value": value, "best_epoch": epoch, "value": value}
        val = {"f2": value, "loss": 1 - value}
        self.store.append(
            "epoch", trial, epoch=epoch, step=epoch, val=val, train_loss=0.5, lr=0.01, seconds=2.0, **best
        )

    def end_trial(self, trial: str, status: str = "complete", error: str | None = None, **facts: Any) -> None:
        self.store.append("trial_ended", trial, status=status, error=error, **facts)

    def trial(self, trial: str, number: int, *values: float, status: str = "complete", **fields: Any) -> None:
        """A whole trial with these values by epoch."""
        self.begin_trial(trial, number, **fields)
        for epoch, value in enumerate(values, start=1):
            self.epoch(trial, epoch, value)
        self.end_trial(trial, status)

    def end(self, status: str = "complete", reason: str = "") -> None:
        self.store.append("search_ended", status=status, reason=reason)
