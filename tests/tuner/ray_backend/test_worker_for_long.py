"""One worker through 200 trials of all kinds: nothing is left of them, and the last is as the first."""

from __future__ import annotations

import gc
import json
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
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


@dataclass(frozen=True)
class Told:
    """What a process was after a trial of the first kind, for each of them, and what the trials told."""

    states: list[tuple[Held, tuple[Any, ...]]]
    memory_mib: list[float]
    """after each trial"""
    reported: list[bool]
    """of each kind, whether its trials report anything"""
    differing: list[str]
    """trials that are not as the first of their kind"""


def run_trials(labels_csv: Path, folder: Path) -> Told:
    torch.set_num_threads(1)
    data = prepare(examine(DataConfig(path=labels_csv), (32,)))
    write_splits(folder / "splits.csv", data.rows)
    assignment = Assignment(str(folder), str(data.root), sorted(LABELS), "multilabel", 0, "f2_macro", {}, 1, 0)
    actor: TrialActor = object.__new__(TrialActor)
    first: dict[int, list[dict[str, Any]]] = {}
    told = Told([], [], [], [])
    for number in range(TRIALS):
        trial, kind = f"t{number:04}", number % len(KINDS)
        results = ran(actor, assignment, trial, KINDS[kind])
        reports = numbers([EpochReport(**json.loads(given["report"])) for given in results if "report" in given])
        without = [{**report, "features": None} for report in reports]  # the first computes what others read
        if first.setdefault(kind, without) != without:
            told.differing.append(trial)
        if kind == 0:
            actor.cleanup()
            if number >= SETTLED:
                told.states.append((held(), ways_of_torch()))
        told.memory_mib.append(psutil.Process().memory_info().rss / 2**20)
    return replace(told, reported=[bool(reports) for reports in first.values()])


@pytest.mark.real
def test_a_worker_is_after_200_trials_what_it_was_after_a_few(labels_csv: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:  # other tests leave things behind
        told = alone.submit(run_trials, labels_csv, tmp_path).result()
    assert told.differing == []
    assert told.reported == [True, True, True, True, False, False, True, True]
    assert len(told.states) > 10
    assert set(told.states) == {told.states[0]}
    early, late = told.memory_mib[SETTLED : SETTLED + 40], told.memory_mib[-40:]
    assert statistics.median(late) - statistics.median(early) < 10
