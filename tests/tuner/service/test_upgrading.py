"""A server is replaced by a newer one, which has other tables and whose searches are run by other code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_drivers import FakeDrivers, FakeRay
from service_rows import NOON
from small_leftovers import Left, first
from sqlalchemy import text

from trainable.errors import UserError
from tuner import changes
from tuner.resumption import prove_again
from tuner.service import searches
from tuner.service.database.connection import open_database, revisions
from tuner.service.database.rows import SearchRow
from tuner.service.engine.engine import Engine
from tuner.service.engine.ledger import Ledger
from tuner.service.settings import ServiceSettings
from tuner.service.submissions.submission import GoOn
from tuner.store import Store

PREVIOUS = revisions()[-2]
RUNNING = {
    "id": "s1",
    "name": "new",
    "submission": json.dumps({"space": "quick", "data": "cats"}),
    "priority": 0,
    "submitted_at": "2026-03-01 12:00:00",
    "desired": "run",
    "desired_at": "2026-03-01 12:00:00",
    "wish_number": 0,
    "state": "running",
    "state_since": "2026-03-01 12:00:00",
    "reason": "",
    "driver": json.dumps({"number": 7, "since": 0, "wish": 0, "cluster": "earlier"}),
    "attempts": 1,
    "wish_begun": 0,
}
"""as the server of the previous version left it"""


class Upgraded:
    """Today's server on the database of the previous version, with a search that ran."""

    def __init__(self, store: Store, state: Path, **settings: object) -> None:
        url = f"sqlite:///{state}/service.db"
        self.database, self.store = open_database(url), store
        self.database.migrate(PREVIOUS)
        with self.database.session() as session:
            names = ", ".join(RUNNING)
            session.execute(text(f"INSERT INTO searches ({names}) VALUES (:{', :'.join(RUNNING)})"), RUNNING)
        self.database.migrate()
        self.drivers = FakeDrivers(Path(store.results))
        given = {"results": store.results, "state": state, "database_url": url, **settings}
        ledger = Ledger(self.database, ServiceSettings.model_validate(given))
        self.engine = Engine(ledger, self.drivers, FakeRay())

    def step(self) -> None:
        self.engine.step(NOON)

    def row(self) -> SearchRow:
        with self.database.reading() as session:
            return searches.find_search(session, "new")

    def refuse(self) -> None:
        """The driver does as `tuner resume` would with today's code."""
        with pytest.raises(UserError) as refused:
            prove_again(self.store, accept_changes=False)
        self.drivers.die("s1", 2, "".join(f"error: {line}\n" for line in refused.value.mistakes))

    def begun(self) -> list[list[str]]:
        """The arguments of drivers, but for where."""
        return [[one for one in arguments if "=" not in one] for _, arguments in self.drivers.started]


@pytest.fixture
def store(left: Left, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Of a search that earlier code has left amid its trials."""
    found = left(first("trial_ended", trial="t0002"))
    monkeypatch.setattr(changes, "code_sha256", lambda: "5" * 64)
    return found


def test_what_ran_waits_until_its_changes_are_accepted(store: Store, tmp_path: Path) -> None:
    upgraded = Upgraded(store, tmp_path)
    upgraded.step()
    assert upgraded.row().state == "starting"
    upgraded.refuse()
    upgraded.step()
    row = upgraded.row()
    assert (row.state, row.has_changed, row.exit_code) == ("stopped", True, 2)
    assert row.reason.startswith("it is not what it was when it was left; resume it with accept_changes")
    assert row.reason.endswith(" -> 555555555555 (this program's own files)")
    upgraded.step()
    assert len(upgraded.drivers.started) == 1, "nobody has accepted anything"

    with upgraded.database.session() as session:
        searches.resume(searches.find_search(session, "new", to_change=True), GoOn(accept_changes=True), NOON)
    upgraded.step()
    upgraded.step()
    assert upgraded.begun() == [["resume", "--", "new"], ["resume", "--accept-changes", "--", "new"]]
    Store(store.place).append("search_resumed")
    upgraded.step()
    assert (upgraded.row().state, upgraded.row().has_changed) == ("running", False)
    upgraded.database.close()


def test_a_server_may_accept_what_has_changed_in_advance(store: Store, tmp_path: Path) -> None:
    upgraded = Upgraded(store, tmp_path, accept_changes=True)
    upgraded.step()
    assert upgraded.begun() == [["resume", "--accept-changes", "--", "new"]]
    upgraded.database.close()
