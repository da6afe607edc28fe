"""A client that has lost an answer sends its submission again, while the first one may still be under way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from service_rows import NOON

from tuner.service.access.accounts import Caller, find_or_add_user
from tuner.service.commands import Commands
from tuner.service.database.connection import Database, open_database
from tuner.service.database.rows import DataSetRow
from tuner.service.ids import new_id
from tuner.service.services import Health, QueuedSearch, Services, open_services
from tuner.service.settings import ServiceSettings
from tuner.service.submissions.submission import Submission
from tuner.service.submitting import submit_proved

TIMES = 8


class NoEngine:
    def queue(self) -> list[QueuedSearch]:
        return []

    def health(self) -> Health:
        return Health(is_ready=True)


def test_one_key_is_one_search_however_often_it_comes_at_once(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url)
    database.migrate()
    services, caller = _services(database, database_url, tmp_path), _caller(database)
    submission = Submission(space="quick", data="cats")

    async def send() -> list[str]:
        commands = Commands(1, 1)
        return await asyncio.gather(
            *(submit_proved(services, commands, caller, submission, key="k") for _ in range(TIMES))
        )

    names = asyncio.run(send())
    assert len(names) == TIMES
    assert len(set(names)) == 1
    database.close()


def _services(database: Database, url: str, folder: Path) -> Services:
    settings = ServiceSettings(results=folder / "results", state=folder / "state", database_url=url)
    return open_services(settings, database, NoEngine())


def _caller(database: Database) -> Caller:
    with database.session() as session:
        ada = find_or_add_user(session, "ada", NOON)
        data = {"path": "/data/cats", "reading": {}, "state": "ready", "created_at": NOON}
        session.add(DataSetRow(id=new_id(), name="cats", owner_id=ada.id, **data))
        return Caller(ada.id, ada.name, "submit")
