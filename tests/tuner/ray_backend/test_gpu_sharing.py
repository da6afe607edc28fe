"""Trials on Ray's own idea of GPUs, which need not be there: what is asked for, and how many run at once."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from own_ray import own_ray
from small_trials import small_config

from tuner.config import Resources
from tuner.interruption import Interruption
from tuner.ray_backend import staffing
from tuner.ray_backend.allowance import Allowance
from tuner.ray_backend.driver import Driver
from tuner.ray_backend.halving.protocol import NoHalving
from tuner.ray_backend.proposals import ListedTrials, Proposal
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.tune_loop import run_phases
from tuner.ray_backend.worker import Assignment, TrialActor
from tuner.replay import replay
from tuner.store import Store

AT_ONCE = 4
"""on two GPUs, and as many CPUs"""


class _Gate:
    """Lets trials with a share of a GPU end once so many of them run at once."""

    def __init__(self) -> None:
        self.shares: dict[str, list[float]] = {}
        self._sharing = 0
        self._all = asyncio.Event()

    async def arrive(self, trial: str, share: float) -> None:
        self.shares.setdefault(trial, []).append(share)
        if share == 1:
            return
        self._sharing += 1
        if self._sharing == AT_ONCE:
            self._all.set()
        await asyncio.wait_for(self._all.wait(), 120)

    async def seen(self) -> dict[str, list[float]]:
        return self.shares


def gated_actor() -> type[TrialActor]:
    """Of one report: 2 GiB of a GPU of 24. The first trial that shares a GPU runs out of memory there, once."""

    class GatedActor(TrialActor):
        def setup(self, config: dict[str, Any]) -> None:
            self._trial, self._gpu_share = config["trial"], config["resources"]["gpu"]
            self._more_gpu_gib = config["more_gpu_gib"]

        def step(self) -> dict[str, Any]:
            assert ray.get_runtime_context().get_assigned_resources()["GPU"] == self._gpu_share
            ray.get(ray.get_actor("gate").arrive.remote(self._trial, self._gpu_share))
            if self._trial == "t0003" and self._more_gpu_gib > 24.0:
                return {"crowded_out": 24.0, "done": True}
            numbers = dict.fromkeys(("epoch", "step", "value", "best_value", "best_epoch"), 1)
            memory = {"peak_memory_gib": 2.0, "gpu_memory_gib": 24.0}
            details: dict[str, Any] = {"per_label": {}, "labels_left_out": [], "thresholds": []}
            report = {**numbers, **memory, **details, "node": "here", "status": "complete"}
            return {"report": json.dumps(report), "done": True}

        def cleanup(self) -> None:
            pass

    return GatedActor


@pytest.mark.real
def test_trials_share_gpus_once_one_is_measured_and_get_one_alone_when_that_was_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staffing, "START_SECONDS", 0.0)
    store = Store.create(tmp_path, "shared")
    assignment = Assignment(str(store.folder), "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)
    numbered = enumerate(f"t{number:04}" for number in range(1, AT_ONCE + 3))
    proposals = [Proposal(trial, small_config(), assignment, {"number": number}) for number, trial in numbered]
    driver = Driver(store, ListedTrials(proposals), NoHalving(), allowance=Allowance(), weights_sha256={})
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a test
    with own_ray(num_cpus=AT_ONCE, num_gpus=2):
        gate = ray.remote(num_cpus=0)(_Gate).options(name="gate").remote()
        with store.lock():
            run_phases([driver], Slots(Resources()), store.ray / "trials", Interruption(), gated_actor())
        shares = ray.get(gate.seen.remote())
    assert {trial.status for trial in replay(store.events()).trials} == {"complete"}
    assert shares.pop("t0003") == [0.125, 1.0]
    assert shares.pop("t0001") == [1.0]
    assert shares == {f"t{number:04}": [0.125] for number in (2, *range(4, AT_ONCE + 3))}
