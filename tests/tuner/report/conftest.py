"""A small search to report on: baseline t0001, better t0002, a failed t0003 and a pruned t0004 above them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner.records import SearchRecord
from tuner.replay import replay

Event = dict[str, Any]


def started(trials: int = 4, **fields: Any) -> Event:
    return {
        "kind": "search_started",
        "time": "2026-01-01T00:00:00Z",
        "name": "flowers",
        "space": "quick",
        "task": "multilabel",
        "objective": {"metric": "f2_macro", "direction": "maximize"},
        "sampler": "tpe",
        "scheduler": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3, "within": ["schedule.kind"]},
        "trials": trials,
        "labels": ["rose", "no", "1e5"],
        "data": {"root": "data/flowers", "hash": "0123456789abcdef", "sizes": {"train": 10, "val": 5}, "data_seed": 3},
        "seed": 7,
        "versions": {"torch": "2.9.0", "python": "3.11"},
        "git": "abcdef0123456789abcdef",
        "precision": "fp32",
    } | fields


def trial_events(
    number: int, value: float | None, status: str | None, error: str | None = None, **fields: Any
) -> list[Event]:
    """A trial of two epochs, the second the better one."""
    trial = f"t{number + 1:04}"
    config: Event = {
        "backbone": "lite0",
        "freeze": "50%",
        "stages": [],
        "head": {"kind": "mlp", "dropout": 0.2, "width": 256},
        "optimizer": {"kind": "adamw", "lr": 1e-5},
        "schedule": {"kind": "plateau", "patience_epochs": 1, "factor": 0.5},
        "loss": {"pos_weight": "none"},
        "augment": "none",
        "micro_batch": None,
        "seed": number,
    }
    start = {"kind": "trial_started", "trial": trial, "number": number, "config": config, "baseline": number == 0}
    events: list[Event] = [start | {"freeze_blocks": 4, "total_blocks": 9} | fields]
    for epoch, now in () if value is None else ((1, value / 2), (2, value)):
        events.append(
            {
                "kind": "epoch",
                "trial": trial,
                "time": f"2026-01-01T00:0{epoch}:00Z",
                "epoch": epoch,
                "value": now,
                "best_value": now,
                "best_epoch": epoch,
                "val": {"f2_macro": now, "loss": 0.25, "f2_macro@0.5": 0.125},
                "seconds": 1.5 * epoch,
                "images_per_second": 20.0,
                "peak_memory_gib": 0.5,
                "trained_parameters": 10,
                "total_parameters": 100,
                "device": "cpu",
                "best": {"per_class": {"no": {"f2": now}}},
            }
        )
    if status:
        end = {"kind": "trial_ended", "trial": trial, "time": "2026-01-01T00:03:00Z", "status": status, "error": error}
        events.append(end)
    return events


@pytest.fixture
def events() -> list[Event]:
    return [
        started(),
        *trial_events(0, 0.5, "complete"),
        *trial_events(1, 0.6, "early_stopped"),
        *trial_events(2, None, "failed", "CUDA | `out of memory`\n<b>more"),
        *trial_events(3, 0.7, "pruned"),
    ]


@pytest.fixture
def search(events: list[Event]) -> SearchRecord:
    return replay(events)


@pytest.fixture
def make_search() -> Callable[..., SearchRecord]:
    """Takes (value, status, error) a trial, and fields of `search_started`; gives the search's record."""

    def make(*trials: tuple[float | None, str | None, str | None], **fields: Any) -> SearchRecord:
        log = [started(len(trials), **fields)]
        for number, (value, status, error) in enumerate(trials):
            log += trial_events(number, value, status, error)
        return replay(log)

    return make
