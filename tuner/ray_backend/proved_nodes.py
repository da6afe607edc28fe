"""Nodes of a cluster that was joined, proved before anything is run on them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainable.errors import UserError
from tuner.mounts import is_shared
from tuner.ray_backend.capacity import Node
from tuner.ray_backend.needs import Needs, shortcomings
from tuner.storage.place import is_url

ANSWER_SECONDS = 60.0
"""that a node may take to start a process and look around"""
SHOWN_NODES = 3


def prove_nodes(nodes: Sequence[Node], needs: Needs, *, more_may_start: bool) -> None:
    """Find out what nodes lack that are to run trials, before any does.

    Args:
        nodes: that are alive and hold a trial
        needs: their `results` is the results' URL, or folder, into which a file is written for a moment
        more_may_start: nodes that cannot be asked yet

    Raises:
        UserError: a line for each thing that is wanting, with the nodes that it is wanting on.
    """
    url = is_url(needs.results)
    with nullcontext(needs.results) if url else _token(Path(needs.results)) as results:
        found = _asked(nodes, replace(needs, results=results))
    if found:
        raise UserError(*(f"{_told(nodes)}: {shortcoming}" for shortcoming, nodes in found.items()))
    asked_others = any(node.id != ray.get_runtime_context().get_node_id() for node in nodes)
    if more_may_start and not url and not asked_others and not is_shared(Path(needs.results)):
        raise UserError(
            f"results are local to the head: {needs.results} is on none of the file systems that machines share, and "
            "nodes may join; put them on shared storage: --results s3://... or a path that all nodes mount"
        )


@contextmanager
def _token(folder: Path) -> Iterator[str]:
    """A file that only those see who see the same folder."""
    token = folder / f".thaw-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token.touch()
    except OSError as error:
        raise UserError(
            f"results folder {str(folder)!r} cannot be written to ({error.strerror}); give another with --results"
        ) from None
    try:
        yield str(token)
    finally:
        token.unlink(missing_ok=True)


def _asked(nodes: Sequence[Node], needs: Needs) -> Mapping[str, list[Node]]:
    """What is wanting -> on which nodes. All nodes look at the same time."""
    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    there = {node: NodeAffinitySchedulingStrategy(node.id, soft=False) for node in nodes}
    answers = {look.options(scheduling_strategy=place).remote(asdict(needs)): node for node, place in there.items()}
    answered, _ = ray.wait(list(answers), num_returns=len(answers), timeout=ANSWER_SECONDS) if answers else ([], [])
    found: defaultdict[str, list[Node]] = defaultdict(list)
    for answer, node in answers.items():
        for shortcoming in _answer(answer) if answer in answered else [f"no answer within {ANSWER_SECONDS:g} s"]:
            found[shortcoming].append(node)
    return found


def _look(needs: dict[str, Any]) -> list[str]:
    """On a node."""
    return shortcomings(Needs(**needs))


def _answer(answer: Any) -> list[str]:
    try:
        found: list[str] = ray.get(answer)
    except ray.exceptions.RayError as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()]
        if any("No module named" in line for line in told):
            return [f"node without the package ({told[-1]}); install this project there, as on the head"]
        return [f"a process could not be started there ({told[-1]})"]
    return found


def _told(nodes: Sequence[Node]) -> str:
    names = [node.address for node in nodes]
    more = len(names) - SHOWN_NODES
    return f"node{'s' * (len(names) > 1)} {', '.join(names[:SHOWN_NODES])}{f' and {more} more' if more > 0 else ''}"
