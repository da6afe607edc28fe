"""Where workers were placed, and which nodes get none any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Set

import ray

from tuner.interruption import Interruption
from tuner.ray_backend.nodes import NodeFailures, SetAside
from tuner.ray_backend.slots import Slots


def node_of(actor: str | None) -> str | None:
    """The node that an actor is on or was on; None where Ray does not know."""
    found = ray._private.state.actors(actor) if actor else None
    return found["Address"]["NodeID"] or None if found else None


class Placement:
    """The nodes of one search."""

    def __init__(self, slots: Slots, note: Callable[[str], object], interrupted: Interruption) -> None:
        """`note` leaves a remark in the log."""
        self._slots = slots
        self._note = note
        self._interrupted = interrupted
        self._failures = NodeFailures()
        self._failed_on: defaultdict[str, set[str]] = defaultdict(set)
        """trial -> nodes that it failed or died on"""

    @property
    def aside(self) -> Set[str]:
        """Nodes that are not used any more."""
        return self._failures.aside.keys()

    def avoided_by(self, trial: str) -> set[str]:
        """Nodes that a trial's next try keeps off: those set aside, and those it failed on, where others hold it."""
        others = self._usable - self.aside - self._failed_on[trial]
        return set(self.aside) | (self._failed_on[trial] if others else set())

    def succeeded(self, node: str | None) -> None:
        """Take in that a trial came to an end there."""
        if node is not None:
            self._failures.succeeded(node)

    def failed(self, node: str | None, trial: str, reason: str) -> bool:
        """Take in that a trial failed or died there; returns whether another node is to tell whose fault it was.

        What fails on a second node speaks against the trial, and not against that node.
        """
        if node is None:
            return False
        if node in self.aside:  # it was on its way there before
            return True
        self._failed_on[trial].add(node)
        if len(self._failed_on[trial]) > 1:
            return False
        if found := self._failures.failed(node, trial, reason, self._usable):
            self._do_without(found)
        return node in self.avoided_by(trial)

    def set_aside(self, node: str, reason: str) -> None:
        """Do without a node that cannot run trials at all."""
        if node not in self.aside:
            self._do_without(self._failures.set_aside(SetAside(node, reason)))

    @property
    def _usable(self) -> set[str]:
        """Nodes that could run a trial; with an empty one, where more are started when they are asked for."""
        return {node.id for node in self._slots.holding} | ({""} if self._slots.may_grow else set())

    def _do_without(self, found: SetAside) -> None:
        name = next((node.address for node in self._slots.capacity.nodes if node.id == found.node), found.node[:8])
        self._note(f"node {name} is set aside: {found.reason}")
        if self._failures.none_left(self._usable):
            self._interrupted.fail(f"all nodes are set aside, {name} as the last: {found.reason}")
