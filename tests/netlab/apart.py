"""Scripts in namespaces of their own: what ends Ray by the names of its processes ends nobody else's there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_searches import ROOT

NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child", "--mount-proc")
AS_ROOT = ("--user", "--map-root-user")
SETUP = 'ip link set lo up && mount -t tmpfs tmpfs /dev/shm && mount --bind "$1" /tmp/ray; shift; "$@"; exit $?'
"""$1 takes Ray's files; as a command of bash's, what follows is not PID 1, which must take in orphans"""
PID_NAMESPACE = Path("/proc/self/ns/pid")


def run_apart(script: Path, place: Path) -> None:
    """Run a script that begins with `place_apart`; skips the test where namespaces are not allowed.

    Args:
        script: of this folder
        place: one that it finds its files in and writes to
    """
    command = _unshare()
    ray = place / "ray"
    ray.mkdir()
    Path("/tmp/ray").mkdir(exist_ok=True)
    arguments = [sys.executable, str(script), str(PID_NAMESPACE.readlink()), str(place)]
    ran = subprocess.run(
        [*command, "bash", "-c", SETUP, "bash", str(ray), *arguments],
        # a token of Ray's in the user's own home would be asked of a cluster that was made without one
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "HOME": str(place), "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def place_apart() -> Path:
    """The place of a script that `run_apart` runs; ends it where it is not in a process namespace of its own."""
    outside, place = sys.argv[1:]
    if str(PID_NAMESPACE.readlink()) == outside:
        sys.exit("not in a process namespace of its own")
    return Path(place)


def _unshare() -> list[str]:
    if missing := [tool for tool in ("unshare", "ip", "mount") if not shutil.which(tool)]:
        pytest.skip(f"needs {', '.join(missing)} (util-linux, iproute2)")
    command = ["unshare", *NAMESPACES, *(() if os.geteuid() == 0 else AS_ROOT)]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"namespaces are not allowed here: {tried.stderr.strip()}")
    return command
