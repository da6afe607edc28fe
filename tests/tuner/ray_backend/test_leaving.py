"""A search that is stopped while its worker is in the middle of a long epoch."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import ray
from own_ray import own_ray
from ray.tune.execution.tune_controller import TuneController
from small_trials import small_config

from tuner.config import Resources
from tuner.interruption import Interruption
from tuner.ray_backend.allowance import Allowance
from tuner.ray_backend.driver import Driver
from tuner.ray_backend.halving.protocol import NoHalving
from tuner.ray_backend.leaving import ending_workers
from tuner.ray_backend.proposals import ListedTrials, Proposal
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.tune_loop import run_phases
from tuner.ray_backend.worker import Assignment, TrialActor
from tuner.replay import replay
from tuner.store import Store

EPOCH_SECONDS = 60.0


def slow_actor(begun: Path) -> type[TrialActor]:
    """Of epochs that take long; the first makes a file."""

    class SlowActor(TrialActor):
        def setup(self, config: dict[str, Any]) -> None:
            pass

        def step(self) -> dict[str, Any]:
            begun.touch()
            time.sleep(EPOCH_SECONDS)
            return {}

        def cleanup(self) -> None:
            pass

    return SlowActor


@pytest.mark.real
def test_a_worker_in_a_long_epoch_is_gone_before_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = property(lambda _: 2 * EPOCH_SECONDS, lambda *_: None)  # Tune itself would kill it after 10 seconds
    monkeypatch.setattr(TuneController, "_actor_force_cleanup_timeout", patient, raising=False)
    store, begun, interrupted = Store.create(tmp_path, "slow"), tmp_path / "begun", Interruption()
    assignment = Assignment(str(store.folder), "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)
    proposals = [Proposal("t0001", small_config(), assignment, {"number": 0})]
    driver = Driver(store, ListedTrials(proposals), NoHalving(), allowance=Allowance(), weights_sha256={})

    stopped: list[float] = []

    def stop_once_it_trains() -> None:
        while not begun.exists():
            time.sleep(0.1)
        stopped.append(time.monotonic())
        interrupted.interrupt("stopped")

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a test
    stopping = threading.Thread(target=stop_once_it_trains)
    with own_ray(num_cpus=1):
        stopping.start()
        try:
            with store.lock():
                run_phases([driver], Slots(Resources()), store.ray / "trials", interrupted, slow_actor(begun))
            seconds = time.monotonic() - stopped[0]
            left = [actor for actor in ray._private.state.actors().values() if actor["State"] != "DEAD"]
        finally:
            stopping.join()
    assert left == []
    assert seconds < EPOCH_SECONDS / 2
    assert [trial.status for trial in replay(store.events()).trials] == ["paused"]


def test_workers_that_leave_by_themselves_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[str] = []
    monkeypatch.setattr(ray, "kill", killed.append)
    interrupted = Interruption()
    with ending_workers(interrupted, ["worker"]):
        interrupted.interrupt("stopped")
    assert killed == []
