"""When a node is set aside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuner.ray_backend.nodes import FAILURES, NodeFailures, SetAside

NODES = ("first", "second", "third")


def test_three_failures_in_a_row_of_two_trials_set_a_node_aside() -> None:
    nodes = NodeFailures()
    assert nodes.failed("first", "t0002", "the worker process died", NODES) is None
    assert nodes.failed("first", "t0002", "the worker process died", NODES) is None
    found = nodes.failed("first", "t0003", "OSError: no disk", NODES)
    assert found == nodes.aside["first"]
    assert found is not None
    assert found.reason == (
        "3 failures in a row (t0002: the worker process died; t0002: the worker process died; t0003: OSError: no disk)"
    )
    assert not nodes.none_left(NODES)


def test_one_trial_that_fails_again_and_again_does_not() -> None:
    nodes = NodeFailures()
    assert not any(nodes.failed("first", "t0002", "died", NODES) for _ in range(10))


def test_the_only_node_is_never_set_aside() -> None:
    nodes = NodeFailures()
    assert not any(nodes.failed("first", f"t{number:04}", "died", ["first"]) for number in range(10))


def test_a_search_knows_when_no_node_is_left() -> None:
    nodes = NodeFailures()
    assert not nodes.none_left([])  # they may come back
    for node in NODES:
        assert not nodes.none_left(NODES)
        nodes.set_aside(SetAside(node, "no data"))
    assert nodes.none_left(NODES)
    assert nodes.none_left(NODES[:1])
    assert not nodes.none_left([*NODES, "fourth"])


@given(st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(["ends", "fails"])), max_size=40))
def test_a_node_is_set_aside_exactly_after_so_many_failures_without_a_success(happens: list[tuple[str, str]]) -> None:
    nodes, rows, aside = NodeFailures(), dict.fromkeys(NODES, 0), set()
    for number, (node, what) in enumerate(happens):
        if what == "ends":
            nodes.succeeded(node)
            rows[node] = 0
            continue
        found = nodes.failed(node, f"t{number:04}", "failed", NODES)
        rows[node] += 1
        assert (found is not None) == (node not in aside and rows[node] >= FAILURES)
        if found:
            aside.add(node)
    assert nodes.aside.keys() == aside
