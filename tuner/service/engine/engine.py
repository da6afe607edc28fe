"""What brings searches to where they are wanted: step by step, from what the database, the processes and the logs say.

Nothing that matters is kept in this process's memory: whenever it is killed, the next one goes on.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from tuner.config import Resources
from tuner.interruption import limit_trials
from tuner.service.database.rows import BUSY, IdempotencyKeyRow, SearchRow, UserRow
from tuner.service.engine.driven import Drivers
from tuner.service.engine.drivers.launcher import Launcher
from tuner.service.engine.ledger import Ledger
from tuner.service.engine.queue import Limit, Need, Room, in_order, to_begin, trials_at_once
from tuner.service.engine.ray_there import Cluster, RayThere
from tuner.service.engine.resting import look_for_outsider, see_to_resting, take_in_found
from tuner.service.engine.told import gpu_hours_ever
from tuner.service.services import Health, QueuedSearch
from tuner.storage.place import is_url
from tuner.tolerant import mapping

FOUND_SECONDS = 10.0
"""between two looks for searches, and runs of them, that the service has not begun"""
FOUND_AT_URL_SECONDS = 60.0
SPENT_SECONDS = 60.0
"""between two counts of what users have taken"""
KEYS_KEPT = timedelta(hours=24)
AGAIN_SECONDS = 5.0
"""before a driver is started again that was killed; twice as long each further time"""
LEAVING = "the server was stopped: it goes on when that is started again"

_log = logging.getLogger(__name__)


class Engine:
    """One at a time for each database; `step` is called again and again."""

    def __init__(self, ledger: Ledger, launcher: Launcher, ray: RayThere) -> None:
        self._ledger = ledger
        self._drivers = Drivers(ledger, launcher)
        self._ray = ray
        self._leaving = False
        self._due: dict[str, datetime] = {}
        """what is done now and then -> when next"""
        self._limits: dict[str, Limit] = {}
        self._queue: tuple[QueuedSearch, ...] = ()
        self._health = Health(is_ready=False, problem="the server starts")

    def queue(self) -> list[QueuedSearch]:
        return list(self._queue)

    def health(self) -> Health:
        return self._health

    def leave(self) -> None:
        """From now on begin nothing, and have all drivers stop in order; their searches go on with the next server."""
        self._leaving = True

    def step(self, now: datetime) -> int:
        """Do what is to be done now; returns how many drivers there are."""
        cluster = self._ray.look(now)
        rows = self._ledger.rows()
        if self._is_due("limits", now, SPENT_SECONDS):
            self._limits = self._limits_of_users(rows)
        if self._is_due("found", now, FOUND_AT_URL_SECONDS if is_url(self._ledger.settings.results) else FOUND_SECONDS):
            self._look_outside(rows, now)
        for row in rows:
            self._see_to(row, cluster, now)
        reasons = self._begin(rows, cluster, now)
        self._share(rows, cluster)
        self._tell(rows, cluster, reasons)
        return sum(row.driver is not None for row in rows)

    def _see_to(self, row: SearchRow, cluster: Cluster | None, now: datetime) -> None:
        try:
            if row.driver is not None:
                stop = LEAVING if self._leaving else self._limits.get(_user(row), Limit()).reason
                self._drivers.see_to(row, cluster, now, stop=stop)
            else:
                see_to_resting(self._ledger, row, now)
        except Exception:  # a store that does not answer now, or a mistake of ours: other searches go on all the same
            _log.exception("search %s", row.name)

    def _begin(self, rows: Sequence[SearchRow], cluster: Cluster | None, now: datetime) -> dict[str, str]:
        """Begin what may; tells why the others wait."""
        waiting = [row for row in rows if row.state == "queued" and row.desired == "run"]
        if cluster is None or self._leaving:
            return {row.id: LEAVING if self._leaving else self._ray.problem for row in waiting}
        ready = {row.id: row for row in waiting if now >= row.state_since + _patience(row)}
        running = [_need(row, cluster) for row in rows if row.driver is not None]
        room = Room(cluster.cpus, cluster.gpus, self._ledger.settings.max_running)
        begun, reasons = to_begin([_need(row, cluster) for row in ready.values()], running, room, self._limits)
        for id in begun:
            try:
                self._drivers.begin(ready[id], cluster, now)
            except Exception as error:  # likewise
                _log.exception("search %s", ready[id].name)
                reasons[id] = f"it could not be begun: {error}"
        return reasons

    def _share(self, rows: Sequence[SearchRow], cluster: Cluster | None) -> None:
        """Tell each driver how many trials it may have at once; one that is alone may have as many as fit."""
        running = [row for row in rows if row.driver is not None and row.state in ("starting", "running")]
        if cluster is None:
            return
        room = Room(cluster.cpus, cluster.gpus, self._ledger.settings.max_running)
        shares = trials_at_once([_need(row, cluster) for row in running], room)
        for row in running:
            if row.state == "running":
                try:
                    limit_trials(self._ledger.store(row), shares[row.id] if len(running) > 1 else None)
                except Exception:  # likewise
                    _log.exception("search %s", row.name)

    def _limits_of_users(self, rows: Sequence[SearchRow]) -> dict[str, Limit]:
        of_user = defaultdict(list)
        for row in rows:
            of_user[_user(row)].append(row)
        with self._ledger.database.reading() as session:
            users = session.scalars(select(UserRow)).all()
        limits = {}
        for user in users:
            reason = "its user may run nothing any more" if user.is_disabled else ""
            if user.gpu_hours is not None:
                used = sum(gpu_hours_ever(self._ledger.store(row)) for row in of_user[user.id])
                if used >= user.gpu_hours:
                    reason = f"its user's {user.gpu_hours:g} GPU hours are used"
            limits[user.id] = Limit(user.max_running, reason)
        return limits

    def _look_outside(self, rows: Sequence[SearchRow], now: datetime) -> None:
        try:
            take_in_found(self._ledger, now)
            for row in rows:
                look_for_outsider(self._ledger, row, now)
        except Exception:  # likewise
            _log.exception("results %s", self._ledger.settings.results)
        with self._ledger.database.session() as session:
            session.execute(delete(IdempotencyKeyRow).where(IdempotencyKeyRow.created_at < now - KEYS_KEPT))

    def _tell(self, rows: Sequence[SearchRow], cluster: Cluster | None, reasons: dict[str, str]) -> None:
        queued = {row.id: row for row in rows if row.state == "queued" and row.desired == "run"}
        running = [_need(row, cluster) for row in rows if row.driver is not None]
        ordered = in_order([_need(row, cluster) for row in queued.values()], running)
        self._queue = tuple(
            QueuedSearch(row.name, row.owner.name if row.owner else "", row.priority, place, _why(row, reasons))
            for place, row in enumerate((queued[need.id] for need in ordered), start=1)
        )
        self._health = Health(
            is_ready=cluster is not None and not self._leaving,
            problem=LEAVING if self._leaving else self._ray.problem,
            running=sum(row.state in BUSY for row in rows),
            queued=len(queued),
            cpus=cluster.cpus if cluster else 0.0,
            gpus=cluster.gpus if cluster else 0.0,
            restarts_of_ray=self._ray.restarts,
        )

    def _is_due(self, what: str, now: datetime, seconds: float) -> bool:
        if what in self._due and now < self._due[what]:
            return False
        self._due[what] = now + timedelta(seconds=seconds)
        return True


def _need(row: SearchRow, cluster: Cluster | None) -> Need:
    """GPUs that were not asked for count as one a trial: what it needs is known once it trains."""
    given = mapping(row.submission.get("resources"))
    resources = Resources.model_validate(given)
    has_gpus = cluster is not None and cluster.gpus > 0
    gpus = resources.gpus_per_trial if resources.gpus_per_trial is not None else float(has_gpus)
    return Need(row.id, _user(row), row.submitted_at, row.priority, resources.cpus_per_trial, gpus, resources.workers)


def _user(row: SearchRow) -> str:
    return row.owner_id or ""


def _patience(row: SearchRow) -> timedelta:
    """How long one that was killed again and again waits for its next attempt."""
    return timedelta(seconds=AGAIN_SECONDS * 2 ** (row.attempts - 1) if row.attempts else 0.0)


def _why(row: SearchRow, reasons: dict[str, str]) -> str:
    return "; ".join(filter(None, (row.reason, reasons.get(row.id, ""))))
