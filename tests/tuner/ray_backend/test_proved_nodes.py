"""Nodes are asked before a search runs on them; Ray's part is played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from trainable.errors import UserError
from tuner.ray_backend import proved_nodes
from tuner.ray_backend.capacity import Node
from tuner.ray_backend.needs import Needs
from tuner.ray_backend.proved_nodes import prove_nodes

NODES = [Node(f"{number:056}", f"10.0.0.{number}", 4, 1) for number in range(1, 7)]
HERE = NODES[0]


@dataclass
class Asked:
    """A task on a node."""

    node: str
    found: list[str]

    __hash__ = object.__hash__


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """node -> what it says besides what this machine finds: lines, or an error; None: nothing in time."""
    said: dict[str, Any] = {}

    def remote(**_: Any) -> Any:
        def task(look: Callable[..., list[str]]) -> Any:
            def options(scheduling_strategy: Any) -> Any:
                return SimpleNamespace(remote=lambda needs: Asked(scheduling_strategy.node_id, look(needs)))

            return SimpleNamespace(options=options)

        return task

    def get(asked: Asked) -> list[str]:
        answer = said.get(asked.node, [])
        if isinstance(answer, Exception):
            raise answer
        return [*asked.found, *answer]

    def wait(asked: list[Asked], **_: Any) -> tuple[list[Asked], list[Asked]]:
        return [one for one in asked if said.get(one.node, []) is not None], []

    monkeypatch.setattr(ray, "remote", remote)
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: HERE.id))
    return said


@pytest.fixture
def needs(tmp_path: Path) -> Needs:
    (tmp_path / "cat.png").touch()
    return Needs.of_driver(tmp_path / "cat.png", (), str(tmp_path / "results"))


@pytest.mark.usefixtures("answers")
def test_nodes_that_have_everything_are_fit(needs: Needs) -> None:
    prove_nodes(NODES, needs, more_may_start=True)
    assert list(Path(needs.results).iterdir()) == []


@pytest.mark.usefixtures("answers")
def test_what_all_lack_is_one_line(needs: Needs) -> None:
    with pytest.raises(UserError) as caught:
        prove_nodes(NODES, replace(needs, image="/no/cat.png"), more_may_start=False)
    (line,) = caught.value.mistakes
    assert line.startswith("nodes 10.0.0.1, 10.0.0.2, 10.0.0.3 and 3 more: data not there: /no/cat.png;")


def test_each_kind_of_shortcoming_is_a_line(needs: Needs, answers: dict[str, Any]) -> None:
    missing = ray.exceptions.RaySystemError("it failed to import\nModuleNotFoundError: No module named 'tuner'")
    other = ray.exceptions.RaySystemError("no room")
    said = [["results are local: ..."], ["results are local: ..."], missing, None, other]
    answers.update(zip((node.id for node in NODES[1:]), said, strict=True))
    with pytest.raises(UserError) as caught:
        prove_nodes(NODES, needs, more_may_start=False)
    local, package, silent, failed = caught.value.mistakes
    assert local == "nodes 10.0.0.2, 10.0.0.3: results are local: ..."
    assert package.startswith("node 10.0.0.4: node without the package (ModuleNotFoundError: No module named 'tuner');")
    assert silent == "node 10.0.0.5: no answer within 60 s"
    assert "no room" in failed


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("nodes", [[], [HERE]])
def test_with_no_other_node_there_the_file_system_decides(
    nodes: list[Node], needs: Needs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proved_nodes, "is_shared", lambda _: False)
    prove_nodes(nodes, needs, more_may_start=False)
    with pytest.raises(UserError, match=r"results are local to the head: .*put them on shared storage"):
        prove_nodes(nodes, needs, more_may_start=True)
    monkeypatch.setattr(proved_nodes, "is_shared", lambda _: True)
    prove_nodes(nodes, needs, more_may_start=True)


@pytest.mark.usefixtures("answers")
def test_results_that_cannot_be_written_to(needs: Needs, tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(UserError, match="cannot be written to"):
        prove_nodes(NODES, needs, more_may_start=False)
