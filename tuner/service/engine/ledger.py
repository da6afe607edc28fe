"""What the engine writes of searches: how they are. Nobody else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from tuner.service.database.connection import Database
from tuner.service.database.rows import SearchRow
from tuner.service.settings import ServiceSettings
from tuner.storage.place import beneath
from tuner.store import Store


@dataclass(frozen=True)
class Ledger:
    """The searches of a database, and where each one's truth is."""

    database: Database
    settings: ServiceSettings

    def rows(self) -> Sequence[SearchRow]:
        """As they are now, the oldest first."""
        with self.database.reading() as session:
            return session.scalars(select(SearchRow).order_by(SearchRow.submitted_at, SearchRow.id)).unique().all()

    def write(self, row: SearchRow, now: datetime, **columns: Any) -> bool:
        """Write how a search is, in the row as well; False: it has been changed in between, and nothing was written.

        A state that is new is so since now.
        """
        if columns.get("state", row.state) != row.state:
            columns.setdefault("state_since", now)
        own = update(SearchRow).where(SearchRow.id == row.id, SearchRow.state == row.state)
        with self.database.session() as session:
            written = session.connection().execute(own.values(**columns)).rowcount == 1
        if written:
            for name, value in columns.items():
                setattr(row, name, value)
        return written

    def store(self, row: SearchRow) -> Store:
        return Store(beneath(self.settings.results, row.name))
