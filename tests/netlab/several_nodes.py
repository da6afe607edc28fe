"""A search on a Ray cluster of several nodes, of which one dies and another one joins. All on this machine.

Its place holds the search's space.yaml, plugin.py and data; its results come there, and `seen.json`.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
from apart import place_apart
from ray.cluster_utils import Cluster
from small_searches import RunningSearch, start_search

from trainable.checkpoint import load_checkpoint

NAME = "several"
TRIALS = 4
KILLED_AFTER = 5
"""epochs of the first trial"""
HEAD = {
    "num_cpus": 1,
    "include_dashboard": False,
    "_system_config": {
        "health_check_initial_delay_ms": 0,  # a dead node is noticed in 2 s
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 4,
        "prestart_worker_first_driver": False,
    },
}
LIMIT_SECONDS = 240


@dataclass
class Nodes:
    """A cluster's nodes by our names, and which of them workers have been seen on."""

    cluster: Cluster
    raylets: dict[int, str] = field(default_factory=dict)
    """process number -> name of the node"""
    workers: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """name of a node -> process numbers, in the order in which nodes came to have some"""

    def add(self, name: str, **resources: int) -> Any:
        node = self.cluster.add_node(num_cpus=1, **resources)
        self.know(name, node)
        return node

    def know(self, name: str, node: Any) -> None:
        self.raylets[node.all_processes["raylet"][0].process.pid] = name

    def look(self) -> None:
        """Take in which nodes trials run on now."""
        for process in psutil.process_iter(["cmdline", "ppid"]):
            if " ".join(process.info["cmdline"] or ()).startswith("ray::TrialActor"):
                self.workers[self.raylets.get(process.info["ppid"], "unknown")].add(process.pid)

    def look_until(self, done: Callable[[], bool]) -> None:
        """Raises TimeoutError."""
        until = time.monotonic() + LIMIT_SECONDS
        while not done():
            if time.monotonic() > until:
                raise TimeoutError("the search does not come on")
            self.look()
            time.sleep(0.1)


def has_reported(search: RunningSearch, epoch: int) -> bool:
    return any(event["kind"] == "epoch" and event["epoch"] >= epoch for event in search.events())


def main() -> None:
    place = place_apart()
    nodes = Nodes(Cluster(initialize_head=True, head_node_args=HEAD))
    nodes.know("head", nodes.cluster.head_node)
    with_gpus = {name: nodes.add(name, num_gpus=1) for name in ("first", "second")}
    os.environ["THAW_CACHE"] = str(place / "cache")
    search = start_search(
        place / "space.yaml",
        place / "data" / "labels.csv",
        place / "results",
        NAME,
        *("--plugin", place / "plugin.py", "--trials", TRIALS, "--split", "75/25", "--top", 1),
        RAY_ADDRESS=nodes.cluster.address,
    )
    nodes.look_until(lambda: search.process.poll() is not None or has_reported(search, KILLED_AFTER))
    killed = next(iter(nodes.workers))  # the first worker has the first trial
    nodes.cluster.remove_node(with_gpus[killed], allow_graceful=False)
    saved = float(load_checkpoint(search.folder / "checkpoints" / "t0001" / "last.pt")["epoch"])
    nodes.add("third", num_gpus=1)
    nodes.look_until(lambda: search.process.poll() is not None)
    ran = search.finish()
    seen = {"killed": killed, "saved": saved, "code": ran.code, "err": ran.err}
    worked = {name: sorted(pids) for name, pids in nodes.workers.items()}
    (place / "seen.json").write_text(json.dumps({**seen, "workers": worked}))
    nodes.cluster.shutdown()


if __name__ == "__main__":
    main()
