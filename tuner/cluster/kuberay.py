"""What a KubeRay manifest says of its nodes (https://docs.ray.io/en/latest/cluster/kubernetes/references/api.html)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from search_spaces.document import Document
from trainable.errors import UserError
from tuner.cluster.parsing import parsed

_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
"""of Kubernetes' quantities"""


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class _Resources(_Read):
    limits: dict[str, str | int | float] = {}
    requests: dict[str, str | int | float] = {}


class _Container(_Read):
    image: str = ""
    resources: _Resources = _Resources()


class _PodSpec(_Read):
    containers: Annotated[tuple[_Container, ...], Field(min_length=1)]


class _PodTemplate(_Read):
    spec: _PodSpec


class Group(_Read):
    """Nodes that are alike; the head is a group of one."""

    group_name: str = "head"
    min_replicas: int = 0
    max_replicas: int = 0
    num_of_hosts: int = 1
    ray_start_params: dict[str, object] = {}
    template: _PodTemplate

    def amount(self, resource: str) -> float | None:
        """What Ray's container may take of a resource of Kubernetes; None: nobody says."""
        given = self.template.spec.containers[0].resources
        written = given.limits.get(resource, given.requests.get(resource))
        return None if written is None else quantity(str(written))

    def ray_amount(self, option: str, resource: str) -> float | None:
        """What Ray takes a node to have: an option of `ray start` wins over the container's resources."""
        told = self.ray_start_params.get(option)
        return self.amount(resource) if told is None else quantity(str(told))


class RayClusterSpec(_Read):
    """The part of a RayCluster's `spec` that is about nodes."""

    ray_version: str = ""
    head_group_spec: Group
    worker_group_specs: tuple[Group, ...] = ()


def ray_cluster_spec(document: Document) -> RayClusterSpec:
    """The cluster of a RayCluster, or of a RayJob that brings its own.

    Raises:
        UserError: another manifest, or one that cannot be made out.
    """
    kind = document.data.get("kind")
    if kind == "RayJob" and "rayClusterSpec" not in (document.data.get("spec") or {}):
        raise UserError(document.mistake(["spec"], "runs on a cluster of another file: give that RayCluster's file"))
    if kind not in ("RayCluster", "RayJob"):
        raise UserError(document.mistake(["kind"], f"{kind!r} has no Ray nodes: must be RayCluster or RayJob"))
    place = ("spec",) if kind == "RayCluster" else ("spec", "rayClusterSpec")
    return parsed(RayClusterSpec, document, place)


def quantity(written: str) -> float:
    """A number as Kubernetes writes it, such as `500m` or `16Gi`.

    Raises:
        UserError: it is none.
    """
    suffix = written.lstrip("0123456789.")
    try:
        return float(written.removesuffix(suffix)) * (_SUFFIXES[suffix] if suffix else 1)
    except (KeyError, ValueError):
        raise UserError(f"{written!r}: must be a quantity such as 4, 500m or 16Gi") from None
