"""A service whose engine does nothing, asked within this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient
from service_rows import NOON
from sqlalchemy import select
from told_search import ToldSearch

from tuner.service.access.accounts import create_token
from tuner.service.api.app import make_app
from tuner.service.database.connection import Database
from tuner.service.database.rows import Scope, SearchRow, State
from tuner.service.ids import new_id
from tuner.service.services import Health, QueuedSearch, Services, open_services
from tuner.service.settings import ServiceSettings
from tuner.store import Store


@dataclass
class FakeEngine:
    """Says what a test wants it to say."""

    waiting: list[QueuedSearch] = field(default_factory=list)
    told: Health = Health(is_ready=True)  # noqa: RUF009  (frozen)

    def queue(self) -> list[QueuedSearch]:
        return self.waiting

    def health(self) -> Health:
        return self.told


@dataclass
class SmallService:
    """A service and who asks it."""

    services: Services
    engine: FakeEngine
    client: TestClient
    """without a token"""

    def inspected(self) -> None:
        """Wait until all data sets are."""
        assert self.client.portal
        self.client.portal.call(self.client.app.state.inspections.wait)  # type: ignore[attr-defined]

    @property
    def results(self) -> Path:
        return Path(self.services.settings.results)

    def token(self, user: str, scope: Scope = "submit", **options: Any) -> dict[str, str]:
        """Headers of a new token."""
        with self.services.database.session() as session:
            _, text = create_token(session, user, scope, NOON, **options)
        return {"Authorization": f"Bearer {text}"}

    def submit(self, name: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        given = {"name": name, "space": "quick", "data": "cats", **fields}
        return self.client.post("/v1/searches", json=given, headers=headers)

    def be(self, name: str, state: State) -> None:
        """Have the engine say how a search is."""
        with self.services.database.session() as session:
            row = session.scalars(select(SearchRow).where(SearchRow.name == name)).one()
            row.state, row.desired = state, "run"

    def told(self, name: str, *, begun: bool = True) -> ToldSearch:
        """A search that was found in the results, of which a test tells."""
        told = ToldSearch(Store.create(self.results, name))
        if begun:
            told.begin()
        with self.services.database.session() as session:
            row = SearchRow(id=new_id(), name=name, submission={}, submitted_at=NOON, desired="run", desired_at=NOON)
            row.state, row.state_since = "running", NOON
            session.add(row)
        return told


@contextmanager
def small_service(database: Database, folder: Path, **settings: Any) -> Iterator[SmallService]:
    """One whose results and state are in a folder."""
    given = {"results": folder / "results", "state": folder / "state", "database_url": "sqlite://", **settings}
    given.setdefault("data_roots", (folder / "data",))
    engine = FakeEngine()
    services = open_services(ServiceSettings(**given), database, engine)
    with TestClient(make_app(services), base_url="http://localhost", raise_server_exceptions=True) as client:
        yield SmallService(services, engine, client)
