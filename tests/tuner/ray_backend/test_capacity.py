"""What fits on a cluster's nodes, those that are there and those that it may start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray

from trainable.errors import UserError
from tuner.cluster.nodes import Cluster, NodeType
from tuner.config import Resources
from tuner.ray_backend import capacity as capacities
from tuner.ray_backend.capacity import Capacity, Node, capacity, growing_cluster
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.staffing import Staffing

HEAD = Node("0", "10.0.0.1", 8, 0)
GPU_NODE = Node("1", "10.0.0.2", 4, 1)
GPU_TYPE = NodeType("gpu", 0, 3, cpus=4, gpus=1)


def test_cpus_are_counted_on_each_node() -> None:
    there = Capacity([Node("0", "a", 3, 0), Node("1", "b", 3, 0)])
    assert there.trials(cpus=2, gpus=0) == 2
    with pytest.raises(UserError, match="--cpus-per-trial 4: no node has more than 3 CPUs; give at most 3"):
        there.require(cpus=4, gpus=0)


def test_gpus_of_several_nodes_are_not_one_node_s() -> None:
    there = Capacity([GPU_NODE, Node("2", "10.0.0.3", 4, 1)])
    there.require(cpus=1, gpus=1)
    with pytest.raises(UserError, match="--gpus-per-trial 2: no node has more than 1 GPUs; give at most 1"):
        there.require(cpus=1, gpus=2)


def test_both_are_needed_on_one_node() -> None:
    with pytest.raises(UserError, match="--cpus-per-trial 8 --gpus-per-trial 1: no node has both"):
        Capacity([HEAD, GPU_NODE]).require(cpus=8, gpus=1)


def test_a_trial_with_a_gpu_is_not_counted_on_nodes_without() -> None:
    there = Capacity([HEAD, GPU_NODE])
    assert there.trials(cpus=1, gpus=1) == 1
    assert there.trials(cpus=1, gpus=0.5) == 2
    assert there.holding(1, 1) == [GPU_NODE]


def test_nodes_that_may_be_started_count_before_they_are_there() -> None:
    there = Capacity([HEAD], [GPU_TYPE])
    assert there.has_gpus
    there.require(cpus=1, gpus=1)
    assert there.trials(cpus=1, gpus=1) == there.gpus(cpus=1) == 3
    assert there.holding(1, 1) == []
    with pytest.raises(UserError, match="--gpus-per-trial 2: no node has more than 1 GPUs"):
        there.require(cpus=1, gpus=2)


def test_what_is_not_known_of_nodes_that_may_be_started_speaks_for_them() -> None:
    there = Capacity([HEAD], [NodeType("pod", 0, 1)])
    there.require(cpus=64, gpus=8)
    assert not there.has_gpus


@pytest.fixture
def head_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"Alive": True, "NodeID": "0", "NodeManagerAddress": "10.0.0.1", "Resources": {"CPU": 2.0}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])


@pytest.mark.usefixtures("head_alone")
def test_a_search_asks_for_the_nodes_that_a_cluster_may_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Staffing, "more_than", lambda *_: True)
    cluster = Cluster("cluster.yaml", "aws", 3, (NodeType("head", 1, 1, cpus=2, gpus=0), GPU_TYPE))
    slots = Slots(Resources(gpus_per_trial=1), cluster)
    assert [slots.room([f"t{number}" for number in range(running)]) for running in (0, 2, 3)] == [True, True, False]
    assert slots.may_grow
    assert slots.holding == []


@pytest.mark.usefixtures("head_alone")
@pytest.mark.parametrize(("workers", "kinds"), [(2, 1), (0, 0)])
def test_hosts_that_are_listed_may_still_join(workers: int, kinds: int) -> None:
    hosts = Cluster("local.yaml", "local", workers, (NodeType("host", workers + 1, workers + 1),))
    assert len(capacity(hosts).kinds) == kinds
    assert not Slots(Resources(), hosts).may_grow


def test_the_file_that_ray_up_leaves_tells_what_a_cluster_may_grow_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ray_bootstrap_config.yaml"
    monkeypatch.setattr(capacities, "LEFT_BY_RAY_UP", file)
    monkeypatch.delenv("RAY_CLUSTER_NAME", raising=False)
    assert growing_cluster() is None
    monkeypatch.setenv("RAY_CLUSTER_NAME", "birds")  # by KubeRay
    assert told(growing_cluster()) == ("kuberay", None)
    file.write_text(
        "provider: {type: aws}\nmax_workers: 4\nhead_node_type: head\navailable_node_types:\n"
        "  head: {resources: {CPU: 2}, node_config: {}}\n"
        "  gpu: {resources: {CPU: 8, GPU: 1}, max_workers: 4, node_config: {}}\n"
    )
    assert told(growing_cluster()) == ("aws", 1)


def told(cluster: Cluster | None) -> tuple[Any, ...]:
    """Its provider and the GPUs of its last kind of nodes."""
    assert cluster is not None
    return cluster.provider, cluster.types[-1].gpus
