"""Looks after the Ray of a server: `python -m tuner.ray_backend.kept_ray FOLDER [OPTIONS AS JSON]`.

A process of its own, so that the server imports no Ray, and so that a server that is killed finds its Ray again. What
it knows is in the folder's facts.json, written anew all the while. With an `address` it only tells of that cluster;
else it is the parent of a Ray head on loopback, which ends with it, however that happens.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # not in its stub
from ray.exceptions import RpcError

from tuner.processes import process_id
from tuner.ray_backend.session_folder import session_folder
from tuner.store import write_atomically

FACTS, LOCK = "facts.json", "lock"
BEAT_SECONDS = 2.0
ANSWER_SECONDS = 10.0
EXIT_GONE, EXIT_KEPT = 1, 3
"""its Ray has ended; another process looks after the folder's Ray"""
_LOOPBACK = "127.0.0.1"
_OBJECT_STORE_BYTES = 500_000_000
"""trials send numbers, no images; what Ray takes otherwise does not fit into the /dev/shm that containers have"""
_FREE_PORTS = dict.fromkeys(("dashboard_port", "dashboard_agent_listen_port", "gcs_server_port"), 0)


def main() -> None:
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    with _alone(folder):
        address = options.pop("address", None)
        if address:
            _tell(folder, address, address, lambda: True)
            return
        with session_folder() as temporary, _head(temporary, options) as node:
            _tell(folder, node.address_info["gcs_address"], node.session_name, node.remaining_processes_alive)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(EXIT_KEPT)
        yield


@contextmanager
def _head(temporary: Path, options: dict[str, Any]) -> Iterator[Any]:
    """A head that only this machine reaches, on ports that are free; `options`: of `RayParams`."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    given = {"node_ip_address": _LOOPBACK, "include_dashboard": False, "temp_dir": str(temporary), **_FREE_PORTS}
    given["object_store_memory"] = _OBJECT_STORE_BYTES
    node = Node(RayParams(**given | options), head=True, shutdown_at_exit=False)
    try:
        yield node
    finally:
        node.kill_all_processes(check_alive=False, allow_graceful=True)


def _tell(folder: Path, address: str, life: str, is_alive: Callable[[], bool]) -> None:
    """Write down how it is until SIGTERM comes, or it is gone."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    client, known = GcsClient(address=address), process_id(os.getpid())
    while not asked.wait(BEAT_SECONDS if (folder / FACTS).exists() else 0.1):
        if not is_alive():
            sys.exit(EXIT_GONE)
        try:
            nodes = client.get_all_node_info(timeout=ANSWER_SECONDS).values()
        except RpcError:
            continue
        there = [node.resources_total for node in nodes if node.state == node.ALIVE]
        totals = {name: sum(resources.get(kind, 0.0) for resources in there) for name, kind in _KINDS.items()}
        facts = {"address": address, "life": life, "process": known.plain if known else {}, **totals}
        with suppress(OSError):  # a disk that is full for a while is no end of a Ray that works
            write_atomically(folder / FACTS, json.dumps(facts))


_KINDS = {"cpus": "CPU", "gpus": "GPU"}

if __name__ == "__main__":
    main()
