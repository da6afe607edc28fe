"""Drivers as processes of this machine, each in a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tuner.processes import ProcessId, process_id, stored_process_id
from tuner.service.engine.drivers.launcher import Handle

KEY = "TUNER_DRIVER"
"""the environment variable that tells a driver's key"""
_NOT_INHERITED = ("RAY_", "TUNE_", KEY)
"""what this process was told of a Ray is not meant for drivers"""


class LocalDrivers:
    """`python -m tuner.cli`, which goes on when this process ends, however that happens."""

    def __init__(
        self, command: Sequence[str] = (sys.executable, "-m", "tuner.cli"), environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment`: what drivers are told beside this process's own"""
        self._command = tuple(command)
        self._environment = dict(environment or {})
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, key: str, arguments: Sequence[str], output: Path) -> Handle:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("ab") as told:
            child = subprocess.Popen(
                [*self._command, *arguments],
                env={**inherited, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **self._environment, KEY: key},
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[child.pid] = child
        # a child that has ended already is no zombie to be told from others: it is in the table until it is waited for
        known = process_id(child.pid) or ProcessId(child.pid, "", "")
        return {"kind": "local", **known.plain}

    def find(self, key: str) -> Handle | None:
        for process in psutil.process_iter():
            try:
                is_it = process.environ().get(KEY) == key and os.getsid(process.pid) == process.pid
            except (psutil.Error, OSError):
                continue
            if is_it and (known := process_id(process.pid)):
                return {"kind": "local", **known.plain}
        return None

    def lives(self, handle: Handle) -> bool:
        known = stored_process_id(handle)
        if child := self._children.get(known.number):
            child.poll()
        return known.lives

    def exit_code(self, handle: Handle) -> int | None:
        child = self._children.get(stored_process_id(handle).number)
        return child.poll() if child else None

    def terminate(self, handle: Handle) -> None:
        stored_process_id(handle).end(signal.SIGTERM)

    def kill(self, handle: Handle) -> None:
        stored_process_id(handle).end(signal.SIGKILL, group=True)
