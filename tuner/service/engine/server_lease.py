"""One server at a time begins and ends the searches of a database: the others wait, or are told whose it is."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from sqlalchemy import update

from trainable.errors import UserError
from tuner.processes import process_id, stored_process_id, this_machine
from tuner.service.database.connection import Database
from tuner.service.database.rows import ServerRow
from tuner.service.errors import LostLeaseError

BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
"""without a beat, after which another machine's server counts as gone; this machine's is asked for"""


class ServerLease:
    """A server's hold on its database."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self.number = number

    def beat(self, now: datetime) -> None:
        """Say that this server is there.

        Raises:
            LostLeaseError: another one has taken over.
        """
        with self._database.session() as session:
            own = update(ServerRow).where(ServerRow.number == self.number).values(heartbeat_at=now)
            if session.connection().execute(own).rowcount != 1:
                raise LostLeaseError("another server has taken over this database: this one ends nothing and leaves")

    def give_back(self, now: datetime) -> None:
        """Let another server have it at once."""
        with self._database.session() as session:
            long_ago = now - timedelta(days=1)
            own = update(ServerRow).where(ServerRow.number == self.number)
            session.execute(own.values(heartbeat_at=long_ago, process={}))


def take_lease(database: Database, now: datetime) -> ServerLease:
    """Become the server of a database.

    Raises:
        UserError: another one is; names it.
    """
    known = process_id(os.getpid())
    mine = {"host": socket.gethostname(), "process": known.plain if known else {}, "heartbeat_at": now}
    with database.session() as session:
        row = session.get(ServerRow, 1, with_for_update=True)
        if row is None:
            session.add(ServerRow(id=1, number=1, **mine))
            return ServerLease(database, 1)
        if _is_there(row, now):
            number = stored_process_id(row.process).number
            raise UserError(
                f"--database {database.shown}: the server of process {number} on {row.host} uses it; stop that one, or "
                "give another database"
            )
        row.number += 1
        row.host, row.process, row.heartbeat_at = mine["host"], mine["process"], now  # type: ignore[assignment]
        return ServerLease(database, row.number)


def _is_there(row: ServerRow, now: datetime) -> bool:
    known = stored_process_id(row.process)
    if known.machine and known.machine == this_machine():
        return known.lives
    return (now - row.heartbeat_at).total_seconds() < STALE_SECONDS and bool(row.process)
