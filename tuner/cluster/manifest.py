"""Mistakes in a KubeRay manifest that can be seen without Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from tuner.cluster.findings import Finding, Path, misspelt

_API = "ray.io/v1"
_CLUSTER_FIELDS = (
    "authOptions",
    "autoscalerOptions",
    "enableInTreeAutoscaling",
    "gcsFaultToleranceOptions",
    "headGroupSpec",
    "headServiceAnnotations",
    "managedBy",
    "rayVersion",
    "suspend",
    "upgradeStrategy",
    "workerGroupSpecs",
)
_JOB_FIELDS = (
    "activeDeadlineSeconds",
    "backoffLimit",
    "clusterSelector",
    "deletionStrategy",
    "entrypoint",
    "entrypointNumCpus",
    "entrypointNumGpus",
    "entrypointResources",
    "jobId",
    "managedBy",
    "metadata",
    "preRunningDeadlineSeconds",
    "rayClusterSpec",
    "runtimeEnvYAML",
    "shutdownAfterJobFinishes",
    "submissionMode",
    "submitterConfig",
    "submitterPodTemplate",
    "suspend",
    "ttlSecondsAfterFinished",
)
_GROUP_FIELDS = (
    "enableIngress",
    "groupName",
    "headService",
    "idleTimeoutSeconds",
    "labels",
    "maxReplicas",
    "minReplicas",
    "numOfHosts",
    "rayStartParams",
    "replicas",
    "resources",
    "scaleStrategy",
    "serviceType",
    "suspend",
    "template",
)


def manifest_findings(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Mistakes in a RayCluster or a RayJob whose nodes can be made out."""
    if manifest.get("apiVersion") != _API:
        yield ("apiVersion",), f"{manifest.get('apiVersion')!r}: must be {_API}"
    if not isinstance(manifest.get("metadata"), dict) or not manifest["metadata"].get("name"):
        yield (), "needs metadata with a name"
    spec = manifest["spec"]
    if manifest.get("kind") == "RayJob":
        yield from misspelt(("spec",), spec, _JOB_FIELDS)
        yield from _needed(("spec",), spec, ("entrypoint",))
        if ("rayClusterSpec" in spec) == ("clusterSelector" in spec):
            yield ("spec",), "needs either rayClusterSpec or clusterSelector"
        if "clusterSelector" in spec and spec.get("shutdownAfterJobFinishes"):
            yield ("spec", "shutdownAfterJobFinishes"), "is not for a cluster of another file; leave it out"
        if "rayClusterSpec" in spec:
            yield from _of_cluster(("spec", "rayClusterSpec"), spec["rayClusterSpec"])
    else:
        yield from _of_cluster(("spec",), spec)


def _of_cluster(path: Path, spec: Mapping[str, Any]) -> Iterator[Finding]:
    yield from misspelt(path, spec, _CLUSTER_FIELDS)
    yield from _needed(path, spec, ("headGroupSpec", "rayVersion"))
    here = version("ray")
    if "rayVersion" in spec and str(spec["rayVersion"]) != here:
        yield (*path, "rayVersion"), f"{spec['rayVersion']!r}: Ray is {here} here, and must be the same on all nodes"
    groups = [((*path, "headGroupSpec"), spec.get("headGroupSpec", {}))]
    groups += [((*path, "workerGroupSpecs", n), group) for n, group in enumerate(spec.get("workerGroupSpecs", ()))]
    for place, group in groups:
        yield from misspelt(place, group, _GROUP_FIELDS)
        yield from _of_group(place, group)


def _of_group(path: Path, group: Mapping[str, Any]) -> Iterator[Finding]:
    least, most = group.get("minReplicas", 0), group.get("maxReplicas")
    if most is not None and least > most:
        yield (*path, "minReplicas"), f"{least} is more than maxReplicas: {most}"
    for option, value in group.get("rayStartParams", {}).items():
        if not isinstance(value, str):
            yield (*path, "rayStartParams", option), f"{value!r}: must be text, in quotes"
    containers = ((group.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    if not containers[0].get("image"):
        yield (*path, "template"), "needs a container with an image, first of its containers"


def _needed(path: Path, given: Mapping[str, Any], fields: Iterable[str]) -> Iterator[Finding]:
    yield from ((path, f"needs {field}") for field in fields if not given.get(field))
