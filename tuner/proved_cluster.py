"""A cluster's file of which nothing is left to be found wrong without a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search_spaces.document import Document, read_yaml
from trainable.errors import UserError
from tuner.cluster.ec2 import ec2_findings
from tuner.cluster.findings import Finding
from tuner.cluster.manifest import manifest_findings
from tuner.cluster.nodes import Cluster, cluster_of
from tuner.cluster.rules import rule_findings

PLACEHOLDER = "CHANGE-ME"
"""what the files that come with Thaw have where only their user knows the value"""


@dataclass(frozen=True)
class ProvedCluster:
    """A cluster's file in which no mistake was found."""

    cluster: Cluster
    notes: list[str]
    """what could not be checked, and why"""


def prove_cluster(file: Path, cpus_per_trial: float = 1.0, gpus_per_trial: float | None = None) -> ProvedCluster:
    """Find every mistake in a file for `ray up` or a KubeRay manifest, and whether such a trial can ever run there.

    Raises:
        UserError: the mistakes, one line each.
    """
    document = read_yaml(file)
    notes: list[str] = []
    mistakes = [*_left_to_change(document), *(document.mistake(*finding) for finding in _findings(document, notes))]
    if mistakes:
        raise UserError(*mistakes)
    cluster = cluster_of(document)
    cluster.require_room(cpus_per_trial, gpus_per_trial)
    return ProvedCluster(cluster, notes)


def _left_to_change(document: Document) -> Iterator[str]:
    """Places that still hold a placeholder."""
    for number, line in enumerate(document.text.splitlines(), start=1):
        said = "" if line.lstrip().startswith("#") else line.partition(" #")[0]
        if PLACEHOLDER in said:
            column = said.index(PLACEHOLDER) + 1
            yield f"{document.name}:{number}:{column} {PLACEHOLDER} is left: put your own value here"


def _findings(document: Document, notes: list[str]) -> list[Finding]:
    """Mistakes in the first respect in which there are any; what cannot be checked becomes a note."""
    from tuner.ray_backend.cluster_schema import manifest_refusal, refusal, schema_findings

    config = document.data
    if "kind" in config:
        cluster_of(document)  # refuses odd shapes, with their places
        notes.append("pods and their fields: only Kubernetes checks them (kubectl apply --dry-run=server)")
        return list(manifest_findings(config)) or manifest_refusal(config)
    if found := schema_findings(config):
        return found
    found = list(rule_findings(config))
    provider = config["provider"]["type"]
    if provider == "aws":
        try:
            found += ec2_findings(config)
        except ImportError:
            notes.append("node_config: not checked, botocore is not installed (pip install boto3)")
    elif provider == "local":
        notes.append("CPUs and GPUs: only known on the hosts themselves")
        notes.append(f"bring it up by RAY_UP_enable_autoscaler_v2=0 ray up {document.name}, or one worker never starts")
    else:
        notes.append("node_config: only its cloud checks it")
    return found or refusal(config)
