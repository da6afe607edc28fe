"""A cluster of one node, with a dashboard that takes jobs, in processes of a test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from small_searches import ROOT

_HEAD = """
import json, sys
from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._private.utils import write_ray_address
given = json.loads(sys.argv[1])
node = Node(RayParams(**given), head=True)
told = node.address_info
write_ray_address(told["gcs_address"], given["temp_dir"])
print("ANSWERS", json.dumps({"address": told["gcs_address"], "url": told["webui_url"]}), flush=True)
sys.stdin.read()
"""
"""`ray.init` gives the agent that takes jobs no port of its own: beside another Ray there would be none.

As with `ray start`, a file says which Ray it is: else its jobs might be given another one of this machine.
"""
_ON_FREE_PORTS = {"include_dashboard": True, "dashboard_host": "127.0.0.1"} | dict.fromkeys(
    ("dashboard_port", "dashboard_agent_listen_port", "gcs_server_port"), 0
)


@dataclass(frozen=True)
class SmallHead:
    """Where a head answers."""

    address: str
    url: str
    """of its dashboard"""
    home: Path


@contextmanager
def small_head(folder: Path, **options: object) -> Iterator[SmallHead]:
    """A head that is there while this is entered; its `tuner` is this checkout's, its home and Ray's files in `folder`.

    Args:
        folder: with a short path, since sockets lie in it
        options: of Ray's `RayParams`
    """
    home, programs = folder / "home", folder / "bin"
    home.mkdir(parents=True)
    programs.mkdir()
    program = programs / "tuner"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tuner.cli "$@"\n')
    program.chmod(0o755)
    own = {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "RAY_AUTH_MODE": "disabled"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    given = _ON_FREE_PORTS | {"num_cpus": 2, "temp_dir": str(folder / "ray")} | options
    process = subprocess.Popen(
        [sys.executable, "-c", _HEAD, json.dumps(given)],
        env=inherited | own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        before = []
        for line in process.stdout:
            kind, _, told = line.partition(" ")
            if kind == "ANSWERS":
                facts = json.loads(told)
                yield SmallHead(facts["address"], f"http://{facts['url']}", home)
                return
            before.append(line)
        raise AssertionError("".join(before))
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()
