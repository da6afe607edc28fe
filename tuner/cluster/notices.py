"""Drains this node when its cloud announces that it will take it away: python -m tuner.cluster.notices CLOUD

A drained node gets no new trials, and a trial that it loses counts as moved, not as failed. Runs beside Ray on every
worker, and ends once the node is drained.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from tuner.cluster.metadata import CLOUDS, Cloud

POLL_SECONDS = 5.0
"""as AWS recommends; Google leaves half a minute"""
_RETRY_SECONDS = 2.0
_DRAIN_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Node:
    """A node of Ray on this machine."""

    id: str
    head: str
    """address of the cluster's control service"""


def await_notice(cloud: Cloud, sleep: Callable[[float], None] = time.sleep) -> datetime:
    """When this machine will be taken away, once that is announced; a service that fails is asked again."""
    silent = False
    while True:
        try:
            end = cloud.end()
        except (OSError, HTTPException) as error:
            if not silent:
                _log(f"the metadata service cannot be asked, trying on: {error}")
            silent = True
        else:
            silent = False
            if end is not None:
                return end
        sleep(POLL_SECONDS)


def drain(end: datetime, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Tell each cluster that its node on this machine will be gone; False: none was told in time."""
    told: set[Node] = set()
    while True:
        nodes = set(local_nodes())
        told |= {node for node in nodes - told if _drain(node, end)}
        if nodes and nodes <= told:
            return True
        if datetime.now(UTC) >= end:
            return bool(told)
        sleep(_RETRY_SECONDS)


def local_nodes() -> Iterable[Node]:
    """Nodes that run on this machine, as their processes' arguments name them."""
    for process in psutil.process_iter(["cmdline"]):
        arguments: Sequence[str] = process.info["cmdline"] or ()
        if arguments and Path(arguments[0]).name == "raylet":
            given = dict(argument.partition("=")[::2] for argument in arguments)
            if given.get("--node_id") and given.get("--gcs-address"):
                yield Node(given["--node_id"], given["--gcs-address"])


def _drain(node: Node, end: datetime) -> bool:
    seconds = max(0, int((end - datetime.now(UTC)).total_seconds()))
    command = ["ray", "drain-node", "--address", node.head, "--node-id", node.id]
    why = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
    remaining = ["--deadline-remaining-seconds", str(seconds)]
    try:
        ran = subprocess.run(
            [*command, *why, *remaining], capture_output=True, text=True, timeout=_DRAIN_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log(f"node {node.id} cannot be drained: {error}")
        return False
    if ran.returncode:
        _log(f"node {node.id} cannot be drained: {(ran.stderr or ran.stdout).strip()[-500:]}")
        return False
    _log(f"node {node.id} is drained: this machine ends in {seconds} s")
    return True


def _log(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch until this machine's end is announced, and drain it. 0: drained, or another process watches; 1: not."""
    parser = argparse.ArgumentParser(prog="python -m tuner.cluster.notices", description=__doc__)
    parser.add_argument("cloud", choices=CLOUDS)
    parser.add_argument("--lock", type=Path, default=Path(tempfile.gettempdir()) / "thaw-notices.lock")
    given = parser.parse_args(arguments)
    try:
        with FileLock(given.lock, timeout=0):
            _log(f"watching for notices of {given.cloud}")
            end = await_notice(CLOUDS[given.cloud]())
            _log(f"this machine will be taken away at {end:%H:%M:%S}")
            return 0 if drain(end) else 1
    except Timeout:
        _log("another process watches here already")
        return 0


if __name__ == "__main__":
    sys.exit(main())
