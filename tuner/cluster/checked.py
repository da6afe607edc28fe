"""A cluster's file, checked as far as that is possible without a cloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from search_spaces.document import Document, read_yaml
from trainable.errors import UserError
from tuner.cluster.nodes import Cluster, cluster_of

PLACEHOLDER = "CHANGE-ME"
"""what the files that come with Thaw have where only their user knows the value"""


@dataclass(frozen=True)
class CheckedCluster:
    """A cluster's file in which no mistake was found."""

    cluster: Cluster
    notes: list[str]
    """what could not be checked, and why"""


def check_cluster(file: Path, cpus_per_trial: float, gpus_per_trial: float | None) -> CheckedCluster:
    """Find every mistake in a cluster's file, and whether such a trial can ever run there.

    Raises:
        UserError: the mistakes.
    """
    document = read_yaml(file)
    if mistakes := _left_to_change(document):
        raise UserError(*mistakes)
    cluster = cluster_of(document)
    cluster.require_room(cpus_per_trial, gpus_per_trial)
    return CheckedCluster(cluster, [])


def _left_to_change(document: Document) -> list[str]:
    """Places that still hold a placeholder."""
    lines = enumerate(document.text.splitlines(), start=1)
    return [
        f"{document.name}:{number}:{line.index(PLACEHOLDER) + 1} {PLACEHOLDER} is left: put your own value here"
        for number, line in lines
        if PLACEHOLDER in line.partition(" #")[0] and not line.lstrip().startswith("#")
    ]
