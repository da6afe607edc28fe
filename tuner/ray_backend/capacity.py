"""What trials may run on: the nodes that are there, and those that the cluster may start when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from trainable.errors import UserError
from tuner.cluster.nodes import Cluster, NodeType, read_cluster

LEFT_BY_RAY_UP = Path("~/ray_bootstrap_config.yaml")
"""on the head of a cluster that `ray up` has started: its file, with what the cloud says of its instance types"""


@dataclass(frozen=True)
class Node:
    """One that is alive."""

    id: str
    address: str
    cpus: float
    gpus: float
    gpu_kind: str = ""
    """Ray's name of the type, the node's own id where it knows none; nodes of one kind have equal GPUs"""

    def trials(self, cpus: float, gpus: float) -> int:
        """How many fit beside each other; a share of a GPU is of one GPU, never across two."""
        by_cpu = int(self.cpus / cpus + 1e-9)
        if not gpus:
            return by_cpu
        by_gpu = int(self.gpus / gpus) if gpus >= 1 else int(self.gpus) * int(1 / gpus + 1e-9)
        return min(by_cpu, by_gpu)


@dataclass(frozen=True)
class Capacity:
    """Nodes that are alive, and kinds of nodes that more may be started of, as far as that is known."""

    nodes: Sequence[Node]
    kinds: Sequence[NodeType] = ()

    @property
    def has_gpus(self) -> bool:
        return any(node.gpus for node in self.nodes) or any(kind.gpus for kind in self.kinds)

    def without(self, aside: Collection[str]) -> Capacity:
        """What there is but for these nodes."""
        return Capacity([node for node in self.nodes if node.id not in aside], self.kinds) if aside else self

    def holding(self, cpus: float, gpus: float) -> list[Node]:
        """The nodes alive that a trial fits on."""
        return [node for node in self.nodes if node.trials(cpus, gpus)]

    def trials(self, cpus: float, gpus: float) -> int:
        """How many trials may run at once, also on nodes that are not there before trials ask for them."""
        startable = sum(kind.max_nodes * _as_node(kind).trials(cpus, gpus) for kind in self.kinds)
        return max(startable, sum(node.trials(cpus, gpus) for node in self.nodes))

    def gpus(self, cpus: float) -> int:
        """GPUs of nodes that have the CPUs of a trial, likewise."""
        startable = sum(kind.max_nodes * int(kind.gpus or 0) for kind in self.kinds if (kind.cpus or 0) >= cpus)
        return max(startable, sum(int(node.gpus) for node in self.nodes if node.cpus >= cpus))

    def require(self, cpus: float, gpus: float) -> None:
        """Refuse what no node can ever hold, and what would wait for ever.

        Raises:
            UserError: what is asked for, and the most that there is.
        """
        if self.holding(cpus, gpus) or any(kind.holds(cpus, gpus) for kind in self.kinds):
            return
        alike = [*self.nodes, *map(_as_node, self.kinds)]
        for name, each, most in (
            ("CPUs", cpus, max((node.cpus for node in alike), default=0.0)),
            ("GPUs", gpus, max((node.gpus for node in alike), default=0.0)),
        ):
            if each > most:
                option = f"--{name.lower()}-per-trial"
                raise UserError(f"{option} {each:g}: no node has more than {most:g} {name}; give at most {most:g}")
        raise UserError(
            f"--cpus-per-trial {cpus:g} --gpus-per-trial {gpus:g}: no node has both, though some have the one and some "
            "the other; ask for less of one of them"
        )


def capacity(cluster: Cluster | None) -> Capacity:
    """As Ray tells it now, and the file of the cluster that was joined."""
    nodes = [_node(facts) for facts in ray.nodes() if facts["Alive"]]
    return Capacity(nodes, _startable(cluster, len(nodes)) if cluster else ())


def growing_cluster() -> Cluster | None:
    """What the cluster whose head this is may grow to; None: there is no more than there is."""
    file = LEFT_BY_RAY_UP.expanduser()
    if file.is_file():
        return read_cluster(file)
    # KubeRay names its clusters so, and keeps from them what they may grow to
    return Cluster("KubeRay", "kuberay", 1, (NodeType("pod", 0, 1),)) if os.environ.get("RAY_CLUSTER_NAME") else None


def _node(facts: dict[str, Any]) -> Node:
    resources = facts["Resources"]
    address = str(facts["NodeManagerAddress"])
    id = str(facts["NodeID"])
    kind = next((name for name in resources if name.startswith("accelerator_type:")), id)
    return Node(id, address, resources.get("CPU", 0.0), resources.get("GPU", 0.0), kind)


def _startable(cluster: Cluster, alive: int) -> Sequence[NodeType]:
    if cluster.provider == "local" and alive > cluster.max_workers:  # all of its hosts have joined
        return ()
    return [kind for kind in cluster.types if kind.max_nodes]


def _as_node(kind: NodeType) -> Node:
    """What is not known of it counts as nothing."""
    return Node("", kind.name, kind.cpus or 0.0, kind.gpus or 0.0)
