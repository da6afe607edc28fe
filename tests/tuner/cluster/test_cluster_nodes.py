"""What a cluster file's nodes can give a trial, and what is refused because none ever could."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from trainable.errors import UserError
from tuner.cluster.nodes import Cluster, NodeType, read_cluster

ROOT = Path(__file__).parents[3]
AWS = """
cluster_name: c
max_workers: 3
provider: {type: aws, region: us-west-2}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, node_config: {InstanceType: m5.xlarge}}
  cpu: {resources: {CPU: 64, GPU: 0}, max_workers: 1, node_config: {InstanceType: c5.large}}
  gpu: {resources: {CPU: 4, GPU: 1, "accelerator_type:A10G": 1}, max_workers: 9, node_config: {InstanceType: g5.xlarge}}
"""


def cluster(tmp_path: Path, text: str) -> Cluster:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return read_cluster(file)


def refused(found: Cluster, cpus: float, gpus: float | None, gpu_memory_gib: float = 0.0) -> str:
    with pytest.raises(UserError) as caught:
        found.require_room(cpus, gpus, gpu_memory_gib)
    (mistake,) = caught.value.mistakes
    return mistake


def test_node_types_are_read_with_their_bounds(tmp_path: Path) -> None:
    found = cluster(tmp_path, AWS)
    head, cpu, gpu = found.types
    assert (found.provider, found.max_workers) == ("aws", 3)
    assert (head.min_nodes, head.max_nodes, head.cpus, head.gpus) == (1, 1, 0, 0)
    assert (cpu.min_nodes, cpu.max_nodes, cpu.cpus, cpu.gpus) == (0, 1, 64, 0)
    assert (gpu.max_nodes, gpu.cpus, gpu.gpus, gpu.gpu_memory_gib) == (3, 4, 1, 22.0)


@pytest.mark.parametrize(("cpus", "gpus"), [(1, None), (4, 1), (4, 0.5), (64, 0)])
def test_what_a_node_that_may_start_can_hold_is_feasible(tmp_path: Path, cpus: float, gpus: float | None) -> None:
    cluster(tmp_path, AWS).require_room(cpus, gpus)


def test_more_than_any_node_has_is_refused_with_the_largest(tmp_path: Path) -> None:
    said = refused(cluster(tmp_path, AWS), 1, 2)
    assert said.startswith("--gpus-per-trial 2: no node type of ")
    assert "the largest is gpu (4 CPUs, 1 GPU of 22 GiB)" in said
    assert refused(cluster(tmp_path, AWS), 65, 0).startswith("--cpus-per-trial 65: ")
    assert refused(cluster(tmp_path, AWS), 1, 1, 40).startswith("40 GiB of GPU memory: ")


def test_what_no_single_node_has_together_is_refused(tmp_path: Path) -> None:
    assert refused(cluster(tmp_path, AWS), 8, 1).startswith("--cpus-per-trial 8 and --gpus-per-trial 1: ")
    assert refused(cluster(tmp_path, AWS), 8, None).startswith("--cpus-per-trial 8 and --gpus-per-trial 1: ")


def test_gpus_are_for_no_cluster_without_them(tmp_path: Path) -> None:
    without = cluster(tmp_path, AWS.replace("max_workers: 9", "max_workers: 0"))
    without.require_room(1, None)
    assert not without.has_gpus
    assert "--gpus-per-trial 1" in refused(without, 1, 1)


def test_a_cluster_that_starts_no_node_but_an_empty_head_holds_nothing(tmp_path: Path) -> None:
    assert "the largest is head (0 CPUs" in refused(
        cluster(tmp_path, AWS.replace("max_workers: 3", "max_workers: 0")), 1, 0
    )


def test_what_a_file_leaves_to_aws_is_not_held_against_it(tmp_path: Path) -> None:
    text = AWS.replace('resources: {CPU: 4, GPU: 1, "accelerator_type:A10G": 1}', "resources: {}")
    cluster(tmp_path, text).require_room(96, 8)


def test_the_file_that_ray_up_leaves_on_the_head_is_read(tmp_path: Path) -> None:
    """Ray's defaults are filled in, and what AWS told of the instance types."""
    text = AWS.replace("GPU: 1,", "GPU: 1, memory: 12025908428,").replace("max_workers: 9", "max_workers: 2")
    left = {**YAML(typ="safe").load(text), "auth": {}, "docker": {}, "head_node": {}, "no_restart": False}
    *_, gpu = cluster(tmp_path, json.dumps(left)).types
    assert (gpu.max_nodes, gpu.memory_gib) == (2, pytest.approx(11.2))


amounts = st.floats(0, 100)
kinds = st.builds(
    NodeType,
    st.just("any"),
    st.just(0),
    st.integers(0, 2),
    st.none() | amounts,
    st.none() | amounts,
    st.none(),
    st.none() | amounts,
)


@given(st.lists(kinds, min_size=1, max_size=3), amounts, amounts, amounts)
def test_a_request_is_refused_exactly_if_no_node_holds_it(
    types: list[NodeType], cpus: float, gpus: float, memory: float
) -> None:
    found = Cluster("c.yaml", "aws", 2, tuple(types))
    if any(kind.holds(cpus, gpus, memory) for kind in types):
        found.require_room(cpus, gpus, memory)
        found.require_room(cpus / 2, gpus / 2, memory / 2)
    else:
        refused(found, cpus, gpus, memory)


def test_hosts_that_are_there_are_not_judged_from_afar(tmp_path: Path) -> None:
    found = cluster(tmp_path, "cluster_name: c\nprovider: {type: local, head_ip: h, worker_ips: [a, b]}\n")
    assert [(kind.min_nodes, kind.max_nodes) for kind in found.types] == [(3, 3)]
    found.require_room(128, 8)


RAY_CLUSTER = """
apiVersion: ray.io/v1
kind: RayCluster
spec:
  headGroupSpec:
    rayStartParams: {num-cpus: "0"}
    template: {spec: {containers: [{resources: {limits: {cpu: "2", memory: 8Gi}}}]}}
  workerGroupSpecs:
    - groupName: gpu
      minReplicas: 0
      maxReplicas: 4
      rayStartParams: {}
      template: {spec: {containers: [{resources: {limits: {cpu: 3500m, memory: 16Gi, nvidia.com/gpu: 1}}}]}}
"""


def test_manifests_of_kubernetes_are_read(tmp_path: Path) -> None:
    head, gpu = (found := cluster(tmp_path, RAY_CLUSTER)).types
    assert (found.provider, found.max_workers) == ("kuberay", 4)
    assert (head.cpus, head.gpus, head.memory_gib) == (0, 0, 8)
    assert (gpu.min_nodes, gpu.max_nodes, gpu.cpus, gpu.gpus, gpu.memory_gib) == (0, 4, 3.5, 1, 16)


def test_a_job_without_a_cluster_of_its_own_has_no_nodes(tmp_path: Path) -> None:
    text = "kind: RayJob\nspec: {clusterSelector: {ray.io/cluster: thaw}}\n"
    with pytest.raises(UserError, match=r"c\.yaml:2:1 spec: runs on a cluster of another file"):
        cluster(tmp_path, text)


def test_what_cannot_be_made_out_is_said_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"c\.yaml:8:21 available_node_types\.cpu\.resources\.CPU: should be a valid number"
    ):
        cluster(tmp_path, AWS.replace("CPU: 64", "CPU: many"))


@pytest.mark.parametrize("file", ["cluster.yaml", "deploy/local.yaml"])
def test_shipped_files_are_read(file: str) -> None:
    read_cluster(ROOT / file).require_room(1, 1)
