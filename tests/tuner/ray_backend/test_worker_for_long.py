"""One worker through 200 trials of all kinds: nothing is left of them, and the last is as the first."""

from __future__ import annotations

import gc
import json
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from small_searches import LABELS
from small_trials import numbers, small_config
from torch import nn

from trainable.data.splits import write_splits
from trainable.job import EpochReport
from tuner.config import DataConfig
from tuner.preparation import examine, prepare
from tuner.ray_backend.worker import Assignment, TrialActor

TRIALS = 200
SETTLED = 60
"""trials after which every cache is full and the allocator has what it needs"""
KINDS: tuple[dict[str, Any], ...] = (
    {"freeze": "all"},
    {"freeze": 3, "augment": "light"},
    {"freeze": "all", "head": {"kind": "mlp"}},
    {"freeze": 0, "mix": {"kind": "mixup"}},
    {"freeze": 0, "epochs": 2, "optimizer": {"kind": "sgd", "lr": 10.0, "head_lr_multiplier": 1000.0}},  # diverges
    {"freeze": 99},  # fails
    {"freeze": 3, "averaging": {"kind": "ema"}, "schedule": {"kind": "cosine"}},
    {"freeze": "all", "epochs": 2, "head_warmup_epochs": 1, "batch_norm": "frozen"},
)


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    files: int
    threads: int
    tensors: int
    modules: int


def held() -> Held:
    gc.collect()
    process, objects = psutil.Process(), gc.get_objects()
    return Held(
        files=process.num_fds(),
        threads=process.num_threads(),
        tensors=sum(issubclass(type(thing), torch.Tensor) for thing in objects),
        modules=sum(issubclass(type(thing), nn.Module) for thing in objects),
    )


def ways_of_torch() -> tuple[Any, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.backends.cudnn.benchmark,
    )


def ran(actor: TrialActor, assignment: Assignment, trial: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    config = small_config(**({"epochs": 1} | fields)).model_dump(mode="json")
    resources = {"cpu": 1, "gpu": 0}
    given = {
        "trial": trial,
        "work": "train",
        "config": config,
        "assignment": asdict(assignment),
        "resources": resources,
        "more_gpu_gib": 0.0,
        "lineage": [],
    }
    actor.reset_config(given)
    results = [actor.step()]
    while not results[-1]["done"]:
        results.append(actor.step())
    return results


@pytest.mark.real
def test_a_worker_is_after_200_trials_what_it_was_after_a_few(labels_csv: Path, tmp_path: Path) -> None:
    data = prepare(examine(DataConfig(path=labels_csv), (32,)))
    write_splits(tmp_path / "splits.csv", data.rows)
    assignment = Assignment(str(tmp_path), str(data.root), sorted(LABELS), "multilabel", 0, "f2_macro", {}, 1, 0)
    actor: TrialActor = object.__new__(TrialActor)
    first: dict[int, list[dict[str, Any]]] = {}
    states: dict[int, tuple[Held, Any]] = {}
    memory_mib: list[float] = []
    for number in range(TRIALS):
        kind = number % len(KINDS)
        results = ran(actor, assignment, f"t{number:04}", KINDS[kind])
        reports = numbers([EpochReport(**json.loads(told["report"])) for told in results if "report" in told])
        told = [{**report, "features": None} for report in reports]  # the first computes what others read
        assert first.setdefault(kind, told) == told
        if kind == 0:
            actor.cleanup()
            states[number] = (held(), ways_of_torch())
        memory_mib.append(psutil.Process().memory_info().rss / 2**20)
    assert [bool(reports) for reports in first.values()] == [True, True, True, True, False, False, True, True]
    (before, ways), *settled = (state for number, state in states.items() if number >= SETTLED)
    for after, later_ways in settled:
        # threads that an earlier test has left may end
        assert replace(after, threads=before.threads) == before
        assert after.threads <= before.threads
        assert later_ways == ways
    early, late = memory_mib[SETTLED : SETTLED + 40], memory_mib[-40:]
    assert statistics.median(late) - statistics.median(early) < 10
