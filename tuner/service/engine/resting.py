"""Searches that no driver of the service's works on: wished for, run by someone else, deleted, found."""

from __future__ import annotations

import logging
import re
import shutil
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from tuner.interruption import STOP
from tuner.service.database.rows import SearchRow, State
from tuner.service.engine.ledger import Ledger
from tuner.service.engine.told import told_since
from tuner.service.ids import new_id
from tuner.service.submissions.submission import NAME
from tuner.spending import told_at
from tuner.storage.home import runs_search
from tuner.storage.place import is_url, split_place
from tuner.storage.results_folder import searches_in
from tuner.store import Store

_log = logging.getLogger(__name__)


def see_to_resting(ledger: Ledger, row: SearchRow, now: datetime) -> None:
    """Take in what is wanted of a search without a driver; one that may begin is queued."""
    if row.state == "deleted":
        _keep_or_remove(ledger, row, now)
    elif row.state in ("running", "stopping"):
        _see_to_outsider(ledger, row, now)
    elif row.desired == "delete":
        ledger.write(row, now, state="deleted", deleted_at=now)
    elif row.state == "queued":
        if row.desired == "stop":
            ledger.write(row, now, state="stopped", reason="stopped as was asked")
    elif row.has_wish and row.desired == "run":
        ledger.write(row, now, state="queued", reason="", attempts=0)


def look_for_outsider(ledger: Ledger, row: SearchRow, now: datetime) -> None:
    """Take in that a search is being run by a command that somebody has given in a shell."""
    store = ledger.store(row)
    if row.state in ("stopped", "complete", "failed") and store.home.exists():
        holder = store.holder()
        if runs_search(holder):
            ledger.write(row, now, state="running", reason=f"run outside of the service, by {holder}")


def take_in_found(ledger: Ledger, now: datetime) -> None:
    """Have searches in the results folder that are in no row listed: they have no owner."""
    known = {row.name for row in ledger.rows()}
    for place in searches_in(ledger.settings.results):
        name = split_place(place)[1]
        if name in known or not re.fullmatch(NAME, name):  # one that is just being removed, or what no search is called
            continue
        try:
            row = _found(Store(place), name, now)
            with ledger.database.session() as session:
                session.add(row)
        except IntegrityError:  # it has just been submitted
            continue
        except Exception:  # whatever lies there, the others are searches all the same
            _log.info("results %s: %r cannot be read as a search", ledger.settings.results, name, exc_info=True)


def _found(store: Store, name: str, now: datetime) -> SearchRow:
    state, reason = _state_of(store)
    began = next((at for event in store.events() if (at := told_at(event))), None)
    return SearchRow(
        id=new_id(),
        name=name,
        submission={},
        submitted_at=datetime.fromtimestamp(began, now.tzinfo) if began else now,
        desired="run" if state == "running" else "stop",
        desired_at=now,
        state=state,
        state_since=now,
        reason=reason,
    )


def _see_to_outsider(ledger: Ledger, row: SearchRow, now: datetime) -> None:
    """One that is run by a command is stopped as `tuner stop` does it, but never killed."""
    store = ledger.store(row)
    if not store.home.exists() or not runs_search(store.holder()):
        state, reason = _state_of(store)
        ledger.write(row, now, state=state, reason=reason)
    elif row.desired != "run":
        store.home.request(STOP)
        ledger.write(row, now, state="stopping")


def _state_of(store: Store) -> tuple[State, str]:
    """How a search is that has no driver of the service's."""
    if not store.home.exists():
        return "stopped", ""
    holder = store.holder()
    if runs_search(holder):
        return "running", f"run outside of the service, by {holder}"
    told = told_since(store, 0)
    if told.status == "complete":
        return "complete", ""
    if told.status == "failed":
        return "failed", told.reason
    return "stopped", told.reason or "its process is gone"


def _keep_or_remove(ledger: Ledger, row: SearchRow, now: datetime) -> None:
    if row.desired != "delete":
        state, reason = _state_of(ledger.store(row))
        ledger.write(row, now, state=state, reason=reason, deleted_at=None)
    elif row.deleted_at is not None and now - row.deleted_at >= timedelta(days=ledger.settings.keep_days):
        _remove(ledger, row)


def _remove(ledger: Ledger, row: SearchRow) -> None:
    """Remove a search for good, unless somebody has it restored or runs it: then the next step finds out."""
    store = ledger.store(row)
    if store.home.exists() and store.held():
        return
    with ledger.database.session() as session:
        still = (
            select(SearchRow).where(SearchRow.id == row.id, SearchRow.desired == "delete").with_for_update(of=SearchRow)
        )
        if session.scalar(still) is None:
            return
        _remove_files(store)
        session.execute(delete(SearchRow).where(SearchRow.id == row.id))
    for path in (ledger.settings.drivers / f"{row.id}.log", ledger.settings.state / "spaces" / row.id):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _remove_files(store: Store) -> None:
    if is_url(store.place):
        store.home.remove(*store.home.paths(store.folder))
        return
    hidden = store.folder.with_name(f".{store.folder.name}.removed")
    if hidden.exists():  # a server was killed amid this
        shutil.rmtree(hidden)
    if store.folder.exists():
        store.folder.rename(hidden)  # what is removed halfway is no search any more
        shutil.rmtree(hidden)
