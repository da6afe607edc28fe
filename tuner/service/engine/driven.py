"""Searches that a driver of the service's works on: begun, watched, asked to stop, ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trainable.errors import UserError
from tuner.interruption import STOP
from tuner.service.database.rows import SearchRow
from tuner.service.engine.arguments import command_of
from tuner.service.engine.drivers.launcher import Launcher
from tuner.service.engine.endings import Gone, ending_of
from tuner.service.engine.ledger import Ledger
from tuner.service.engine.ray_there import Cluster
from tuner.service.engine.told import discard_unbegun, has_begun, last_error, told_since
from tuner.tolerant import integer, text

STOP_SECONDS = 60.0
"""that a driver has to end in order, before it is sent SIGTERM"""
TERMINATE_SECONDS = 30.0
"""that it has after that, before it is killed"""
RAY_LOST_SECONDS = 30.0
"""more than to stop that a driver has to find out by itself that its Ray is gone, and to end"""
_SIGNALLED = "signalled"
"""in a row's driver: it has been sent SIGTERM"""


@dataclass
class Drivers:
    """The drivers of a server's searches."""

    ledger: Ledger
    launcher: Launcher
    _without_ray_since: dict[str, datetime] = field(default_factory=dict)
    """search -> when its driver's Ray was seen to be gone"""

    def begin(self, row: SearchRow, cluster: Cluster, now: datetime) -> None:
        """Have a search that is queued begun, or gone on with; it is told in its row where that cannot be.

        The row says so before there is a process, which is then found by the search's id: whenever this server is
        killed, the next one knows.
        """
        store, settings = self.ledger.store(row), self.ledger.settings
        if store.home.exists() and (holder := store.holder()):
            self.ledger.write(row, now, reason=f"it is being run by {holder}")
            return
        try:
            begun = has_begun(store)
            if not begun:
                discard_unbegun(store)
            with self.ledger.database.reading() as session:
                command = command_of(row, session, settings, cluster.address, has_begun=begun)
        except UserError as error:
            self.ledger.write(row, now, state="failed", reason=str(error), wish_begun=row.wish_number)
            return
        output = settings.drivers / f"{row.id}.log"
        driver: dict[str, Any] = {"since": told_since(store, 0).latest, "wish": command.wish, "cluster": cluster.id}
        driver["output_begin"] = output.stat().st_size if output.exists() else 0
        starting = {"state": "starting", "reason": "", "driver": driver, "exit_code": None, "refused_wish": None}
        if self.ledger.write(row, now, **starting, attempts=row.attempts + 1):
            handle = self.launcher.start(row.id, command.arguments, output)
            self.ledger.write(row, now, driver={**driver, **handle})

    def see_to(self, row: SearchRow, cluster: Cluster | None, now: datetime, *, stop: str = "") -> None:
        """Take in how a search's driver is, and have it end where that is wanted.

        Args:
            stop: why it is to end though its user wants it to run
        """
        driver = row.driver or {}
        if "number" not in driver and "job" not in driver:  # the server was killed as it started it
            found = self.launcher.find(row.id)
            driver = {**driver, **found} if found else driver
            if found:
                self.ledger.write(row, now, driver=driver)
        if not self._lives(driver):
            self._ended(row, cluster, now)
            return
        if row.state == "starting" and told_since(self.ledger.store(row), _since(driver)).began:
            begun = max(row.wish_begun, integer(driver.get("wish")) or 0)
            self.ledger.write(row, now, state="running", reason="", wish_begun=begun)
        if row.state != "stopping" and (row.desired != "run" or stop):
            self.ledger.write(row, now, state="stopping", reason=stop)
        if row.state == "stopping":
            self._press(row, now, (now - row.state_since).total_seconds())
        elif cluster is not None and driver.get("cluster") != cluster.id:
            lost_at = self._without_ray_since.setdefault(row.id, now)
            self._press(row, now, (now - lost_at).total_seconds() - RAY_LOST_SECONDS, request=False)

    def _press(self, row: SearchRow, now: datetime, seconds: float, *, request: bool = True) -> None:
        """Have a driver end, the more urgently the longer it has been asked."""
        driver, store = row.driver or {}, self.ledger.store(row)
        if request and store.home.exists():
            with suppress(OSError):  # a driver that has just begun to go on takes back what was asked before
                store.home.request(STOP)
        has_log = told_since(store, _since(driver)).began if seconds < STOP_SECONDS else True
        if seconds >= STOP_SECONDS + TERMINATE_SECONDS:
            self.launcher.kill(driver)
        elif (seconds >= STOP_SECONDS or (request and not has_log)) and not driver.get(_SIGNALLED):
            self.ledger.write(row, now, driver={**driver, _SIGNALLED: True})
            self.launcher.terminate(driver)

    def _lives(self, driver: Mapping[str, Any]) -> bool:
        return bool(driver) and self.launcher.lives(driver)

    def _ended(self, row: SearchRow, cluster: Cluster | None, now: datetime) -> None:
        driver, store = row.driver or {}, self.ledger.store(row)
        self._without_ray_since.pop(row.id, None)
        told = told_since(store, _since(driver))
        output = self.ledger.settings.drivers / f"{row.id}.log"
        exit_code = self.launcher.exit_code(driver)
        gone = Gone(
            told,
            mistake=last_error(output, integer(driver.get("output_begin")) or 0),
            exit_code=exit_code,
            desired=row.desired,
            was_asked=row.state == "stopping",
            lost_ray=cluster is None or text(driver.get("cluster")) != cluster.id,
            attempts=row.attempts,
        )
        ending = ending_of(gone)
        is_begun = told.began or ending.state != "queued"
        wish = max(row.wish_begun, integer(driver.get("wish")) or 0) if is_begun else row.wish_begun
        reason = row.reason if gone.was_asked and row.reason and ending.state == "queued" else ending.reason
        columns = {"attempts": ending.attempts, "wish_begun": wish, "driver": None, "exit_code": exit_code}
        if ending.has_changed:
            columns["refused_wish"] = integer(driver.get("wish")) or 0
        self.ledger.write(row, now, state=ending.state, reason=reason, **columns)


def _since(driver: Mapping[str, Any]) -> int:
    return integer(driver.get("since")) or 0
