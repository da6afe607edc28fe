"""What the API and the pages are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import select

from tuner.service.database.connection import Database
from tuner.service.database.rows import SearchRow
from tuner.service.searches import shown_state
from tuner.service.settings import ServiceSettings
from tuner.service.watching.broadcasting import Broadcaster
from tuner.service.watching.readings import Readings


@dataclass(frozen=True)
class QueuedSearch:
    """A search that waits to be begun."""

    name: str
    owner: str
    priority: int
    place: int
    """1: begins next"""
    reason: str
    """why it waits, in words"""


@dataclass(frozen=True)
class Health:
    """How the server's engine room is."""

    is_ready: bool
    """whether searches that are submitted now would be begun"""
    problem: str = ""
    """why not, in words"""
    running: int = 0
    queued: int = 0
    cpus: float = 0.0
    """of the Ray that searches run on; 0: not known yet"""
    gpus: float = 0.0
    restarts_of_ray: int = 0
    """of the server's own"""


class EngineFacts(Protocol):
    """What is told of the engine that begins and ends searches."""

    def queue(self) -> list[QueuedSearch]:
        """Those that wait, the next one first."""
        ...

    def health(self) -> Health: ...


@dataclass(frozen=True)
class Services:
    """Made once by who runs the server."""

    settings: ServiceSettings
    database: Database
    engine: EngineFacts
    readings: Readings
    broadcaster: Broadcaster


def open_services(settings: ServiceSettings, database: Database, engine: EngineFacts) -> Services:
    """The services of a server with these."""
    readings = Readings(settings.results)

    def states(names: list[str]) -> Mapping[str, Mapping[str, Any]]:
        with database.reading() as session:
            rows = session.scalars(select(SearchRow).where(SearchRow.name.in_(names))).all()
        places = {queued.name: queued.place for queued in engine.queue()}
        return {
            row.name: {"state": shown_state(row), "reason": row.reason, "place": places.get(row.name)} for row in rows
        }

    return Services(settings, database, engine, readings, Broadcaster(readings, states))
