"""Which nodes a search does without: those on which one worker after another fails, and those that do not fit it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

FAILURES = 3
"""in a row on one node, deaths and failed trials alike, before it is set aside"""


@dataclass(frozen=True)
class SetAside:
    """A node that is not used any more."""

    node: str
    reason: str


class NodeFailures:
    """How often in a row something failed on each node, and which are set aside.

    Failures of a single trial say more of it than of its node. Where there is no other node to be tried nothing tells
    the two apart either, so the only node of a search is never set aside.
    """

    def __init__(self) -> None:
        self._rows: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        """node -> trial and reason of each failure since the last success"""
        self.aside: dict[str, SetAside] = {}

    def succeeded(self, node: str) -> None:
        """Take in that a trial came to an end there, whatever its score."""
        self._rows.pop(node, None)

    def failed(self, node: str, trial: str, reason: str, usable: Collection[str]) -> SetAside | None:
        """Take in that a trial failed or died there; returns the node if it is set aside for that now.

        Args:
            usable: nodes that could run a trial, those set aside among them
        """
        row = self._rows[node]
        row.append((trial, reason))
        alone = not set(usable) - {node}
        if len(row) < FAILURES or len({failed for failed, _ in row}) < 2 or alone or node in self.aside:
            return None
        reasons = "; ".join(f"{failed}: {why}" for failed, why in row[-FAILURES:])
        return self.set_aside(SetAside(node, f"{len(row)} failures in a row ({reasons})"))

    def set_aside(self, found: SetAside) -> SetAside:
        """Do without a node from now on."""
        self.aside[found.node] = found
        self._rows.pop(found.node, None)
        return found

    def none_left(self, usable: Collection[str]) -> bool:
        """Whether all nodes that could run a trial are set aside."""
        return bool(usable) and not set(usable) - self.aside.keys()
