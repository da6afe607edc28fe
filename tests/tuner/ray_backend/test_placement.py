"""Which nodes get no workers any more, and what the search does when none is left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tuner.interruption import Interruption
from tuner.ray_backend.capacity import Capacity, Node
from tuner.ray_backend.placement import Placement

HERE, THERE = (Node(f"{name:0<56}", name, 4.0, 0.0) for name in ("here", "there"))


def slots(*nodes: Node, may_grow: bool = False) -> Any:
    """Of a cluster of these nodes."""
    return SimpleNamespace(capacity=Capacity(nodes), holding=nodes, may_grow=may_grow)


def test_a_search_with_no_node_left_fails() -> None:
    notes: list[str] = []
    interrupted = Interruption()
    placement = Placement(slots(HERE, THERE), notes.append, interrupted)
    placement.set_aside(HERE.id, "it has no data")
    placement.set_aside(HERE.id, "it has no data")
    assert notes == ["node here is set aside: it has no data"]
    assert not interrupted.is_set()
    assert placement.failed(HERE.id, "t0003", "no data")
    assert len(notes) == 1
    placement.succeeded(None)
    assert not placement.failed(None, "t0001", "its actor is unknown")
    placement.set_aside(THERE.id, "it has no data")
    assert interrupted.failed
    assert interrupted.reason == "all nodes are set aside, there as the last: it has no data"


def test_what_failed_on_one_node_is_tried_on_another_once() -> None:
    placement = Placement(slots(HERE, THERE), lambda _: None, Interruption())
    assert placement.failed(HERE.id, "t0001", "no disk")
    assert placement.avoided_by("t0001") == {HERE.id}
    assert placement.avoided_by("t0002") == set()
    assert not placement.failed(THERE.id, "t0001", "no disk")
    assert placement.avoided_by("t0001") == set()  # no other is left


def test_on_the_only_node_a_failure_stands() -> None:
    placement = Placement(slots(HERE), lambda _: None, Interruption())
    assert not placement.failed(HERE.id, "t0001", "no disk")
    assert placement.avoided_by("t0001") == set()


@pytest.mark.parametrize(("may_grow", "aside"), [(False, False), (True, True)])
def test_the_only_node_is_set_aside_where_others_may_come(may_grow: bool, aside: bool) -> None:
    interrupted = Interruption()
    placement = Placement(slots(HERE, may_grow=may_grow), lambda _: None, interrupted)
    for trial in ("t0002", "t0003", "t0004"):
        placement.failed(HERE.id, trial, "no disk")
    assert bool(placement.aside) is aside
    assert not interrupted.is_set()
