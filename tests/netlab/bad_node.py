"""Trials on a Ray cluster of two nodes, on one of which everything fails. All on this machine.

Its place takes the search `bad` and `bad.json`: the notes, and each trial with the node of its tries.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import ray
from apart import place_apart
from ray.cluster_utils import Cluster
from small_trials import small_config

from tuner.config import Resources
from tuner.interruption import Interruption
from tuner.ray_backend import staffing
from tuner.ray_backend.allowance import Allowance
from tuner.ray_backend.driver import Driver
from tuner.ray_backend.halving.protocol import NoHalving
from tuner.ray_backend.nodes import FAILURES
from tuner.ray_backend.proposals import ListedTrials, Proposal
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.tune_loop import run_phases
from tuner.ray_backend.worker import Assignment, TrialActor
from tuner.store import Store

TRIALS = 8


class Tries:
    """Which trial was tried on which node, in order."""

    def __init__(self, bad: str) -> None:
        self._bad = bad
        self._full = asyncio.Event()
        self.told: list[tuple[str, str]] = []

    async def add(self, trial: str, node: str) -> None:
        """Returns once the bad node has got as many as it takes."""
        self.told.append((trial, node))
        if [tried for _, tried in self.told].count(self._bad) == FAILURES:
            self._full.set()
        await self._full.wait()

    async def all(self) -> list[tuple[str, str]]:
        return self.told


def actor_failing_on(bad: str) -> type[TrialActor]:
    """Of one report, or of a failure."""

    class FailingActor(TrialActor):
        def setup(self, config: dict[str, Any]) -> None:
            self._trial = config["trial"]

        def step(self) -> dict[str, Any]:
            node = ray.get_runtime_context().get_node_id()
            ray.get(ray.get_actor("tries").add.remote(self._trial, node))
            if node == bad:
                return {"ended": json.dumps({"status": "failed", "error": "no disk"}), "done": True}
            numbers = dict.fromkeys(("epoch", "step", "value", "best_value", "best_epoch"), 1)
            details: dict[str, Any] = {"per_label": {}, "labels_left_out": [], "thresholds": []}
            return {"report": json.dumps({**numbers, **details, "node": node, "status": "complete"}), "done": True}

        def cleanup(self) -> None:
            pass

    return FailingActor


def main(place: Path) -> None:
    staffing.LONGEST_WAIT_SECONDS = 0.0
    store = Store.create(place, "bad")
    assignment = Assignment(str(store.folder), "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)
    names = [f"t{number:04}" for number in range(2, TRIALS + 2)]
    proposals = [Proposal(trial, small_config(), assignment, {"number": number}) for number, trial in enumerate(names)]
    driver = Driver(store, ListedTrials(proposals), NoHalving(), allowance=Allowance(), weights_sha256={})
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    bad = cluster.add_node(num_cpus=FAILURES).node_id
    good = cluster.add_node(num_cpus=1).node_id
    ray.init(address=cluster.address)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a test
    tries = ray.remote(num_cpus=0)(Tries).options(name="tries").remote(bad)
    notes: list[str] = []
    with store.lock():
        slots, interrupted = Slots(Resources()), Interruption()
        run_phases([driver], slots, store.ray / "trials", interrupted, actor_failing_on(bad), notes.append)
    names_of = {bad: "bad", good: "good"}
    told = [(trial, names_of[node]) for trial, node in ray.get(tries.all.remote())]
    (place / "bad.json").write_text(json.dumps({"notes": notes, "tries": told}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(place_apart())
