"""Where the Ray cluster is that a search is to join: found out before anything takes time, without importing Ray."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from trainable.errors import UserError

PROBE_SECONDS = 15.0
"""that a head, which may be busy, may take to answer; Ray itself would wait for a minute"""
_SETTINGS = b"\x04"
"""the type of the first frame either side sends by HTTP/2, which gRPC uses (RFC 9113, sections 3.4 and 6.5)"""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)


@dataclass(frozen=True)
class Head:
    """A cluster's head that answers."""

    given: str
    """as people said it, such as `--address auto`"""
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def find_head(address: str | None) -> Head | None:
    """The head of the cluster at HOST:PORT, of the one that this machine is part of (`auto`), or of `RAY_ADDRESS`.

    Returns:
        None where none is meant: a search runs on this machine alone.

    Raises:
        UserError: that is no address, or no head answers there.
    """
    found = address or os.environ.get("RAY_ADDRESS") or "local"
    given = f"--address {address}" if address else f"RAY_ADDRESS={found}"
    if found == "local":
        return None
    if found.startswith("ray://"):
        raise UserError(
            f"{given}: a search does not run through Ray's client, which ends with the connection; use `tuner submit "
            "--cluster`, or run on the head with --address auto"
        )
    if found == "auto":
        found = os.environ.get("RAY_ADDRESS", "").replace("auto", "") or _started_here(given)
    host, _, port = found.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"{given}: must be HOST:PORT of a cluster's head, such as 10.0.0.5:6379, or auto")
    head = Head(given, host, int(port))
    _require_answer(head)
    return head


def _started_here(given: str) -> str:
    """The cluster that `ray start` has made this machine a node of.

    Ray's own `auto` would also find the private Ray of another search on this machine.
    """
    from ray._private.utils import read_ray_address

    address = read_ray_address()
    if not address:
        raise UserError(
            f"{given}: no cluster has been started on this machine; run on the head of one, or use `tuner submit "
            "--cluster`"
        )
    return str(address)


def _require_answer(head: Head) -> None:
    """Raises UserError where nothing listens there, or something that is no head."""
    rule = "give the address of the head, whose port is 6379 unless `ray start --port` said otherwise"
    try:
        with socket.create_connection((head.host.strip("[]"), head.port), timeout=PROBE_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            connection.settimeout(PROBE_SECONDS)
            connection.sendall(_PREFACE)
            answer = connection.recv(9)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{head.given}: no Ray cluster answers at {head.address} ({reason}); {rule}") from None
    if answer[3:4] != _SETTINGS:
        raise UserError(f"{head.given}: what answers at {head.address} is no head of a Ray cluster; {rule}")
