"""The Ray that searches run on: the server's own, which is started again when it dies, or a cluster that is there."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tuner.processes import ProcessId, process_id, stored_process_id
from tuner.service.engine.ray_there import Cluster
from tuner.tolerant import mapping, number, text

STALE_SECONDS = 60.0
"""after which what was told of a Ray holds no more"""
AGAIN_SECONDS, LONGEST_SECONDS = 2.0, 60.0
"""between a Ray that died and the next one, at first, and at most"""
CLOSE_SECONDS = 30.0
_FACTS = "facts.json"
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""switched off, Ray calls this machine 127.0.0.1, as it does on laptops: else it looks for a head there elsewhere"""


class KeptRay:
    """A Ray and the process that looks after it, which this one starts, or finds where an earlier server left it."""

    def __init__(
        self,
        folder: Path,
        address: str | None = None,
        options: Mapping[str, Any] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "tuner.ray_backend.kept_ray"),
    ) -> None:
        """
        Args:
            folder: what lies between that process and this one
            address: of a cluster that is there; None: one of the server's own
            options: of that: `num_cpus`, `num_gpus`
            command: what looks after it
        """
        self._command = tuple(command)
        self._folder = folder
        self._given = {"address": address} if address else dict(options or {})
        self._is_own = address is None
        self._child: subprocess.Popen[bytes] | None = None
        self._next_at: datetime | None = None
        self._failures = 0
        self.restarts = 0
        self.problem = "Ray is being started"

    @property
    def environment(self) -> dict[str, str]:
        """What drivers are told, so that they may join it; of a cluster the token is the user's."""
        if not self._is_own:
            return {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH_")}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str((self._folder / "token").absolute())}
        return {**token, _LOOPBACK: "0"}

    def look(self, now: datetime) -> Cluster | None:
        facts = self._facts()
        known = stored_process_id(mapping(facts.get("process")))
        if self._child:
            self._child.poll()
        if known.lives and time.time() - self._told_at() < STALE_SECONDS:
            self.problem, self._failures = "", 0
            capacity = number(facts.get("cpus")) or 0.0, number(facts.get("gpus")) or 0.0
            return Cluster(text(facts.get("life")), text(facts.get("address")), *capacity)
        if known.lives:
            self.problem = "Ray does not answer"
            return None
        self._start_if_due(now)
        return None

    def close(self) -> None:
        """End it, and wait until it is gone; a cluster that is not this server's goes on."""
        known = stored_process_id(mapping(self._facts().get("process")))
        for process in filter(None, (known, self._process_of_child())):
            process.end(signal.SIGTERM)
        until = time.monotonic() + CLOSE_SECONDS
        while (known.lives or self._child_lives()) and time.monotonic() < until:
            time.sleep(0.05)
        for process in filter(None, (known, self._process_of_child())):
            process.end(signal.SIGKILL)
        (self._folder / _FACTS).unlink(missing_ok=True)

    def _start_if_due(self, now: datetime) -> None:
        if self._child_lives() or (self._next_at is not None and now < self._next_at):
            return
        if self._child is not None or (self._folder / _FACTS).exists():
            self.problem = "Ray has died and is being started again" if self._is_own else "the cluster does not answer"
            self.restarts += 1
        wait = min(AGAIN_SECONDS * 2**self._failures, LONGEST_SECONDS)
        self._failures += 1
        self._next_at = now + timedelta(seconds=wait)
        (self._folder / _FACTS).unlink(missing_ok=True)
        self._child = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        token = self._folder / "token"
        if self._is_own and not token.exists():
            with os.fdopen(os.open(token, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        inherited = {name: value for name, value in os.environ.items() if not self._is_own or name[:4] != "RAY_"}
        with (self._folder / "log").open("ab") as told:
            return subprocess.Popen(
                [*self._command, str(self._folder), json.dumps(self._given)],
                env={**inherited, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _facts(self) -> Mapping[str, Any]:
        try:
            return mapping(json.loads((self._folder / _FACTS).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _told_at(self) -> float:
        try:
            return (self._folder / _FACTS).stat().st_mtime
        except OSError:
            return 0.0

    def _child_lives(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _process_of_child(self) -> ProcessId | None:
        return process_id(self._child.pid) if self._child and self._child_lives() else None
