"""The way to a cluster's dashboard, which also takes jobs: a URL as it is, or through SSH to the head."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from search_spaces.document import read_yaml
from trainable.errors import UserError

CONNECT_SECONDS = 60.0
"""that finding the head and logging in to it may take"""
_RAY = (sys.executable, "-m", "ray.scripts.scripts")


@contextmanager
def dashboard(cluster: str) -> Iterator[str]:
    """The URL of a cluster's dashboard, as long as this is entered.

    Args:
        cluster: that URL, or the file that `ray up` was given; the dashboard is then reached through SSH, with the key
            and user that the file names

    Raises:
        UserError: it is neither, or the head cannot be reached.
    """
    if cluster.startswith(("http://", "https://")):
        yield cluster.rstrip("/")
        return
    _require_ray_up(cluster)
    port = _free_port()
    # Ray's own command, since clouds differ in how a head is found and which key opens it
    forwarding = subprocess.Popen(
        (*_RAY, "dashboard", cluster, "--port", str(port)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        _wait_until_open(forwarding, port, cluster)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(forwarding.pid, signal.SIGTERM)
        forwarding.communicate()


def _require_ray_up(cluster: str) -> None:
    """Raises UserError."""
    if not Path(cluster).is_file():
        raise UserError(
            f"--cluster {cluster}: must be the file that `ray up` was given, or the URL of the cluster's dashboard, "
            "such as http://127.0.0.1:8265"
        )
    if "kind" in read_yaml(cluster).data:
        raise UserError(
            f"--cluster {cluster}: is a Kubernetes manifest; make its dashboard's port this machine's with `kubectl "
            "port-forward service/NAME-head-svc 8265`, and give --cluster http://127.0.0.1:8265"
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait_until_open(forwarding: subprocess.Popen[str], port: int, cluster: str) -> None:
    """Raises UserError where SSH gives up, or takes too long."""
    until = time.monotonic() + CONNECT_SECONDS
    while forwarding.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    if forwarding.poll() is None:
        raise UserError(f"--cluster {cluster}: its head does not answer within {CONNECT_SECONDS:g} s; is it up?")
    said = [line.strip() for line in (forwarding.stdout or ()) if line.strip()]
    reason = next(
        (line for line in reversed(said) if "exception is" in line or "rror" in line), said[-1] if said else ""
    )
    reason = reason.removeprefix("The exception is: ")
    raise UserError(f"--cluster {cluster}: its head cannot be reached ({reason}); `ray up {cluster}` brings it up")
