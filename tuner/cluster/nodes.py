"""What a cluster file's nodes can give a trial: all that it may start, not only those that run at the moment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from search_spaces.document import Document, read_yaml
from trainable.errors import UserError
from tuner.cluster.kuberay import Group, RayClusterSpec, ray_cluster_spec
from tuner.cluster.parsing import parsed

GPU_MEMORY_GIB = {
    "T4": 14.5,
    "V100": 15.7,
    "A10G": 22.0,
    "L4": 22.0,
    "A100": 39.0,
    "A100-40G": 39.0,
    "L40S": 44.0,
    "A100-80G": 79.0,
    "H100": 79.0,
    "H200": 139.0,
}
"""what a program finds of a GPU's memory, by Ray's name of the GPU; the least where there are several of that name"""

_ACCELERATOR = "accelerator_type:"
_UNSAID_MAX_WORKERS = 2
"""Ray's own default"""
_AWS_WITH_GPUS = re.compile(r"(g|gr|p)\d")


@dataclass(frozen=True)
class NodeType:
    """One kind of node. None: its file does not say."""

    name: str
    min_nodes: int
    max_nodes: int
    """that may run at once, the head among them"""
    cpus: float | None = None
    gpus: float | None = None
    memory_gib: float | None = None
    gpu_memory_gib: float | None = None
    """of one GPU"""

    def holds(self, cpus: float, gpus: float, gpu_memory_gib: float = 0.0) -> bool:
        """Whether a trial may fit; a share of a GPU is of one GPU, and what is not known does not speak against it."""
        return (
            self.max_nodes > 0
            and (self.cpus is None or cpus <= self.cpus)
            and (self.gpus is None or gpus <= self.gpus)
            and (not gpus or self.gpu_memory_gib is None or gpu_memory_gib <= self.gpu_memory_gib)
        )

    def __str__(self) -> str:
        memory = f" of {self.gpu_memory_gib:g} GiB" if self.gpus and self.gpu_memory_gib else ""
        return f"{self.name} ({_counted(self.cpus, 'CPU')}, {_counted(self.gpus, 'GPU')}{memory})"


@dataclass(frozen=True)
class Cluster:
    """The nodes that a cluster file may start."""

    file: str
    provider: str
    """such as `aws`, `local` or `kuberay`"""
    max_workers: int
    """nodes at most, without the head"""
    types: tuple[NodeType, ...]

    @property
    def has_gpus(self) -> bool:
        """Whether a node may have GPUs, as far as the file says."""
        return any(kind.max_nodes and kind.gpus for kind in self.types)

    def require_room(self, cpus: float, gpus: float | None, gpu_memory_gib: float = 0.0) -> None:
        """Refuse what no node can ever hold, and what would wait for ever.

        Args:
            cpus: of a trial
            gpus: of a trial; None: one where there are any
            gpu_memory_gib: that the trial is known to need

        Raises:
            UserError: no node type has so much.
        """
        wanted = float(self.has_gpus) if gpus is None else gpus
        if any(kind.holds(cpus, wanted, gpu_memory_gib) for kind in self.types):
            return
        started = [kind for kind in self.types if kind.max_nodes]
        if not started:
            raise UserError(f"{self.file}: may start no node; raise max_workers")
        asked = _asked(started, cpus, gpus, wanted, gpu_memory_gib)
        largest = max(started, key=lambda kind: (kind.gpus or 0, kind.gpu_memory_gib or 0, kind.cpus or 0))
        raise UserError(
            f"{asked}: no node type of {self.file} can hold such a trial, now or later; the largest is {largest}:"
            " ask for no more than that, or give the file a larger node type"
        )


def read_cluster(file: Path | str) -> Cluster:
    """The nodes of a file for `ray up`, of one that `ray up` left on a head node, or of a KubeRay manifest.

    Raises:
        UserError: the file cannot be read, or its nodes cannot be made out.
    """
    return cluster_of(read_yaml(file))


def cluster_of(document: Document) -> Cluster:
    """As `read_cluster`, of what was read."""
    if "kind" in document.data:
        return _of_kuberay(document.name, ray_cluster_spec(document))
    found = parsed(_RayUp, document)
    if found.provider.type == "local":
        return _of_hosts(document.name, found)
    most = _UNSAID_MAX_WORKERS if found.max_workers is None else found.max_workers
    types = tuple(_of_type(name, found, most) for name in found.available_node_types)
    return Cluster(document.name, found.provider.type, most, types)


class _Read(BaseModel):
    """Only what matters here; whether the rest is right is for tuner.proved_cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Provider(_Read):
    type: str
    worker_ips: list[str] = []


class _Type(_Read):
    resources: dict[str, float] = {}
    min_workers: int = 0
    max_workers: int | None = None
    node_config: dict[str, object] = {}


class _RayUp(_Read):
    provider: _Provider
    max_workers: int | None = None
    head_node_type: str = ""
    available_node_types: dict[str, _Type] = {}


def _of_type(name: str, found: _RayUp, most: int) -> NodeType:
    given = found.available_node_types[name]
    head = name == found.head_node_type
    workers = given.max_workers if given.max_workers is not None else 0 if head else most
    gpu = next((key.removeprefix(_ACCELERATOR) for key in given.resources if key.startswith(_ACCELERATOR)), "")
    memory = given.resources.get("memory")
    # AWS tells Ray what an instance type has, and a file may leave it out
    of_instance = found.provider.type == "aws"
    without_gpus = of_instance and not _AWS_WITH_GPUS.match(str(given.node_config.get("InstanceType")))
    return NodeType(
        name,
        min_nodes=given.min_workers + head,
        max_nodes=min(workers, most) + head,
        cpus=given.resources.get("CPU", None if of_instance else 0),
        gpus=given.resources.get("GPU", 0 if without_gpus or not of_instance else None),
        memory_gib=None if memory is None else memory / 2**30,
        gpu_memory_gib=GPU_MEMORY_GIB.get(gpu),
    )


def _of_hosts(file: str, found: _RayUp) -> Cluster:
    """Hosts that are there: what they have is only known on them."""
    workers = len(found.provider.worker_ips)
    return Cluster(file, "local", workers, (NodeType("host", workers + 1, workers + 1),))


def _of_kuberay(file: str, spec: RayClusterSpec) -> Cluster:
    groups = spec.worker_group_specs
    most = [group.max_replicas * group.num_of_hosts for group in groups]
    workers = [
        _of_group(group, group.min_replicas * group.num_of_hosts, nodes)
        for group, nodes in zip(groups, most, strict=True)
    ]
    return Cluster(file, "kuberay", sum(most), (_of_group(spec.head_group_spec, 1, 1), *workers))


def _of_group(group: Group, least: int, most: int) -> NodeType:
    memory_bytes = group.amount("memory")
    return NodeType(
        group.group_name,
        min_nodes=least,
        max_nodes=most,
        cpus=group.ray_amount("num-cpus", "cpu"),
        gpus=group.ray_amount("num-gpus", "nvidia.com/gpu") or 0,
        memory_gib=None if memory_bytes is None else memory_bytes / 2**30,
    )


def _counted(number: float | None, what: str) -> str:
    return f"? {what}s" if number is None else f"{number:g} {what}" if number == 1 else f"{number:g} {what}s"


def _asked(kinds: Sequence[NodeType], cpus: float, gpus: float | None, wanted: float, memory_gib: float) -> str:
    """The options that ask for too much: those that alone are too much, or else all of them."""
    options = {
        f"--cpus-per-trial {cpus:g}": not any(kind.holds(cpus, 0) for kind in kinds),
        f"--gpus-per-trial {wanted:g}": gpus is not None and not any(kind.holds(0, wanted) for kind in kinds),
        f"{memory_gib:g} GiB of GPU memory": memory_gib > 0 and not any(kind.holds(0, 1, memory_gib) for kind in kinds),
    }
    too_much = [option for option, alone in options.items() if alone]
    together = [f"--cpus-per-trial {cpus:g}", *([f"--gpus-per-trial {wanted:g}"] if wanted else [])]
    return " and ".join(too_much or together)
