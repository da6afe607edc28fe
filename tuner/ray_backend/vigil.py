"""Whether a search's Ray is still there: its control process (GCS) and the node of the search's own process.

Without its own node the search gets no worker any more, though nothing says so. Without the GCS its loop hangs within
Ray, which ends the process after a minute.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import ray
from ray._raylet import GcsClient, NodeID  # type: ignore[attr-defined]  # not in its stub
from ray.exceptions import RpcError

from tuner.interruption import Interruption

LOOK_SECONDS = 2.0
SILENT_SECONDS = 30.0
"""that the GCS may take to answer; it may have to be started again, elsewhere"""
_CONNECT_SECONDS = 2.0
LEAVE_SECONDS = 60.0
"""that a search has to end in order"""

Answer = bool | None
"""whether the own node lives; None: the GCS does not answer"""


@contextmanager
def watching_ray(interrupted: Interruption, give_up: Callable[[str], object]) -> Iterator[None]:
    """Have the search end when its Ray is gone.

    Args:
        give_up: ends the process at once, with the reason, where the search cannot end in order
    """
    done = threading.Event()
    given = (_asking_gcs(), interrupted, give_up, done)
    watching = threading.Thread(target=watch, args=given, name="ray-vigil", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def watch(
    ask: Callable[[], Answer],
    interrupted: Interruption,
    give_up: Callable[[str], object],
    done: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask again and again until it is done, or Ray is gone.

    Args:
        ask: raises ConnectionRefusedError where the GCS will not come back
        clock: seconds
    """
    answered = clock()
    while not done.wait(LOOK_SECONDS):
        try:
            lives = ask()
        except ConnectionRefusedError:
            give_up("Ray's control process (GCS) on this machine is gone")
            return
        if lives is False:
            interrupted.ray_is_gone = True
            interrupted.fail("Ray's node process (raylet) on this machine is gone")
            if not done.wait(LEAVE_SECONDS):
                give_up(interrupted.reason)
            return
        if lives:
            answered = clock()
        elif clock() - answered >= SILENT_SECONDS:
            give_up("Ray's control process (GCS) does not answer any more")
            return


def _asking_gcs() -> Callable[[], Answer]:
    context = ray.get_runtime_context()
    address: str = context.gcs_address
    gcs, own = GcsClient(address=address), NodeID.from_hex(context.get_node_id())

    def ask() -> Answer:
        try:
            return bool(gcs.check_alive([own], timeout=LOOK_SECONDS)[0])
        except RpcError:
            require_listening(address)
            return None

    return ask


def require_listening(address: str) -> None:
    """Raises ConnectionRefusedError where nobody listens at an address of this machine alone any more.

    A cluster's GCS may be started again at its address; on loopback there is a Ray that somebody's search or server has
    for itself, and whose successor has another port.
    """
    host, _, port = address.rpartition(":")
    if host == "127.0.0.1":
        with suppress(TimeoutError), socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS):
            pass
