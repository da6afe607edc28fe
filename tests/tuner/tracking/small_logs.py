"""Logs of small searches, and a tracker that is shown them as its process does it, killed where a test wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuner.records import SearchRecord
from tuner.store import Store
from tuner.tracking.cursor import Cursor
from tuner.tracking.outbox import Outbox
from tuner.tracking.protocol import TrackerKind

CONFIG = {"backbone": "lite0", "freeze": "all", "head": {"kind": "mlp", "width": 64}, "optimizer": {"lr": 1e-3}}


class Told:
    """A search of which events are told one by one."""

    def __init__(self, results: Path, name: str = "birds") -> None:
        self.store = Store.create(results, name)
        self.store.append(
            "search_started",
            name=name,
            space="quick",
            objective={"metric": "f2_macro", "direction": "maximize"},
            trials=3,
            axes=["head.kind", "optimizer.lr", "stages"],
            labels=["a", "b"],
        )

    def start(self, number: int, **config: Any) -> str:
        trial = f"t{number:04}"
        told = {"number": number - 1, "baseline": number == 1, "params": {"optimizer.lr": 1e-3}}
        self.store.append("trial_started", trial, config=CONFIG | config, **told)
        return trial

    def epochs(self, trial: str, values: dict[int, float]) -> None:
        for epoch, value in values.items():
            told = {"epoch": epoch, "step": epoch, "value": value, "best_value": value, "best_epoch": epoch}
            of_training = {"train_loss": 0.5 / epoch, "lr": 1e-3, "seconds": 2.0 * epoch}
            val = {"f2_macro": value, "f2_macro@0.5": value / 2}
            self.store.append("epoch", trial, val=val, **told, **of_training)

    def end(self, trial: str, status: str = "complete", error: str | None = None) -> None:
        self.store.append("trial_ended", trial, status=status, error=error)

    def finish(self, status: str = "complete", reason: str = "") -> None:
        self.store.append("search_ended", status=status, reason=reason)


def whole_search(results: Path) -> Told:
    """A complete trial that is scored on test, a pruned, a failed and an early stopped one."""
    told = Told(results)
    told.epochs(told.start(1), {1: 0.25, 2: 0.5})
    told.end("t0001")
    told.epochs(told.start(2, freeze="50%"), {1: 0.125})
    told.end("t0002", "pruned")
    told.start(3)
    told.end("t0003", "failed", "CUDA out of memory")
    told.epochs(told.start(4), {1: 0.5, 2: 0.75})
    told.end("t0004", "early_stopped")
    told.store.append("test_scored", "t0001", test={"f2_macro": 0.375})
    told.finish()
    return told


def show(told: Told, kind: TrackerKind, *, killed: bool = False, at_most: int = 500, finish: bool = False) -> Cursor:
    """Have a new process's tracker show what it has not shown.

    Args:
        killed: before it could note that the last batch is shown
        at_most: events in a batch
        finish: show the files too
    """
    cursor = Cursor(told.store.folder, kind.name)
    outbox = Outbox(told.store.events_jsonl, cursor.seq)
    tracker = kind.open(told.store, cursor)
    search = SearchRecord()
    while batch := outbox.take(at_most):
        tracker.show(batch.search, batch.news)
        outbox.shown()
        search, cursor.seq = batch.search, batch.seq
        if not killed:
            cursor.save()
    if finish:
        tracker.finish(search)
        cursor.save()
    tracker.close()
    return cursor
