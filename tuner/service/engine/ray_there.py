"""The Ray that searches run on, as the engine sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Cluster:
    """A Ray that answers."""

    id: str
    """of this life of it: after it was gone it is another one"""
    address: str | None
    """that drivers join; None: each has a Ray of its own"""
    cpus: float
    gpus: float


class RayThere(Protocol):
    """Looks after a Ray."""

    restarts: int

    def look(self, now: datetime) -> Cluster | None:
        """How it is now; None: it is not there, and is being started if that is this one's to do."""
        ...

    @property
    def problem(self) -> str:
        """Why there is none, in words; empty: there is."""
        ...

    def close(self) -> None:
        """End it, if that is this one's to do."""
        ...
