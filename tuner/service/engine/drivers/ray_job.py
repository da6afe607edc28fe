"""Drivers as jobs of a Ray cluster whose head this is, by the REST API of its dashboard.

Source: Ray, "Ray Jobs REST API". A job is stopped by SIGTERM, and killed 3 s later unless Ray was told otherwise.
"""

from __future__ import annotations

import os
import shlex
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tuner.service.engine.drivers.launcher import Handle
from tuner.tolerant import integer, mapping, text

_ALIVE = ("PENDING", "RUNNING")
_ANSWER_SECONDS = 10.0
_SEARCH = "search"
"""in a job's metadata: the key of its driver"""


class RayJobs:
    """Jobs on the head; what they print goes into files here, as of other drivers."""

    def __init__(
        self,
        url: str,
        command: Sequence[str] = (sys.executable, "-m", "tuner.cli"),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """
        Args:
            url: of the cluster's dashboard
            transport: None: the network
        """
        self._command = tuple(command)
        token = _token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=_ANSWER_SECONDS, transport=transport, trust_env=False
        )

    def start(self, key: str, arguments: Sequence[str], output: Path) -> Handle:
        output.parent.mkdir(parents=True, exist_ok=True)
        command = shlex.join([*self._command, *arguments])
        job = f"{key}-{uuid.uuid4().hex[:6]}"
        entrypoint = f"cd {shlex.quote(str(Path.cwd()))} && exec {command} >> {shlex.quote(str(output))} 2>&1"
        self._ask("POST", "/api/jobs/", {"entrypoint": entrypoint, "submission_id": job, "metadata": {_SEARCH: key}})
        return {"kind": "ray", "job": job}

    def find(self, key: str) -> Handle | None:
        jobs = self._ask("GET", "/api/jobs/")
        for told in map(mapping, jobs if isinstance(jobs, list) else ()):
            if mapping(told.get("metadata")).get(_SEARCH) == key and told.get("status") in _ALIVE:
                return {"kind": "ray", "job": text(told.get("submission_id"))}
        return None

    def lives(self, handle: Handle) -> bool:
        return self._told(handle).get("status") in _ALIVE

    def exit_code(self, handle: Handle) -> int | None:
        return integer(self._told(handle).get("driver_exit_code"))

    def terminate(self, handle: Handle) -> None:
        if self.lives(handle):
            self._ask("POST", f"/api/jobs/{handle['job']}/stop")

    def kill(self, handle: Handle) -> None:
        self.terminate(handle)

    def _told(self, handle: Handle) -> Mapping[str, Any]:
        job = text(handle.get("job"))
        return mapping(self._ask("GET", f"/api/jobs/{job}")) if job else {}

    def _ask(self, method: str, path: str, given: Mapping[str, Any] | None = None) -> Any:
        """What the cluster answers; None: it knows no such thing. Raises OSError where it does not answer."""
        try:
            answer = self._client.request(method, path, json=given)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ConnectionError(f"Ray's dashboard at {self._client.base_url}: {error}") from error


def _token() -> str:
    """The cluster's, where Ray would look for it; empty: there is none."""
    if found := os.environ.get("RAY_AUTH_TOKEN"):
        return found
    try:
        file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
