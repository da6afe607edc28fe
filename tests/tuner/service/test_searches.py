"""What is wanted of searches is written down, once, and refused where it makes no sense."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from service_rows import NOON
from sqlalchemy import select
from sqlalchemy.orm import Session

from trainable.errors import UserError
from tuner.service import searches
from tuner.service.database.connection import Database
from tuner.service.database.rows import DataSetRow, SearchRow, State, UserRow
from tuner.service.errors import ConflictError, NotFoundError
from tuner.service.searches import Listing
from tuner.service.submissions.submission import Extend, GoOn, Submission
from tuner.store import Store


def _submit(session: Session, results: Path, key: str | None = None, minutes: int = 0, **given: Any) -> SearchRow:
    submission = Submission.model_validate({"space": "quick", "data": "cats", **given})
    user = session.scalars(select(UserRow).where(UserRow.name == "ada")).one()
    return searches.submit(session, submission, user, results, NOON + timedelta(minutes=minutes), key)[0]


def _in_state(row: SearchRow, state: State) -> SearchRow:
    row.state = state
    return row


def test_a_submission_waits_in_the_queue(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        row = _submit(session, tmp_path, priority=3)
        again = _submit(session, tmp_path)
        named = _submit(session, tmp_path, name="mine")
    assert (row.state, row.desired, row.priority, row.name) == ("queued", "run", 3, "quick-20260301-120000")
    assert row.submission == {"space": "quick", "data": "cats", "priority": 3}
    assert row.owner is not None
    assert row.owner.name == "ada"
    assert again.name == "quick-20260301-120000-2"
    assert named.name == "mine"


def test_the_same_key_is_the_same_search(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        row = _submit(session, tmp_path, "k1")
        assert _submit(session, tmp_path, "k1", minutes=5) is row
        with pytest.raises(ConflictError, match="used for another submission"):
            _submit(session, tmp_path, "k1", seed=1)
        assert _submit(session, tmp_path, "k2") is not row


def test_names_that_are_taken(service_database: Database, tmp_path: Path) -> None:
    Store.create(tmp_path, "by-hand")
    with service_database.session() as session:
        _submit(session, tmp_path, name="mine")
        for name in ("mine", "by-hand"):
            with pytest.raises(ConflictError, match="choose another name"):
                _submit(session, tmp_path, name=name)


def test_only_what_the_server_knows_can_be_named(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        with pytest.raises(UserError, match="no shipped space 'quik'; did you mean 'quick'"):
            _submit(session, tmp_path, space="quik")
        with pytest.raises(UserError, match="no data set 'cat'; did you mean 'cats'"):
            _submit(session, tmp_path, data="cat")
        with pytest.raises(UserError, match="no search 'earlier'"):
            _submit(session, tmp_path, warm_start="earlier")
        session.scalars(select(DataSetRow)).one().state = "inspecting"
        with pytest.raises(ConflictError, match="'cats' is inspecting"):
            _submit(session, tmp_path)
        assert session.scalars(select(SearchRow)).all() == []


@pytest.mark.parametrize("state", ["queued", "starting", "running", "stopping"])
def test_what_runs_or_waits_can_be_stopped(service_database: Database, tmp_path: Path, state: State) -> None:
    with service_database.session() as session:
        row = _in_state(_submit(session, tmp_path), state)
        searches.request_stop(row, NOON)
        assert row.desired == "stop"


@pytest.mark.parametrize("state", ["stopped", "complete", "failed"])
def test_what_has_ended_cannot_be_stopped(service_database: Database, tmp_path: Path, state: State) -> None:
    with service_database.session() as session:
        row = _in_state(_submit(session, tmp_path), state)
        with pytest.raises(ConflictError, match="nothing to stop"):
            searches.request_stop(row, NOON)


def test_resuming_is_a_wish(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        row = _in_state(_submit(session, tmp_path), "running")
        with pytest.raises(ConflictError, match="nothing to resume"):
            searches.resume(row, GoOn(), NOON)
        row.state, row.desired = "stopped", "stop"
        searches.resume(row, GoOn(hours=2), NOON)
        assert (row.desired, row.has_wish, row.wish) == (
            "run",
            True,
            {"verb": "resume", "hours": 2.0, "accept_changes": False},
        )
        with pytest.raises(ConflictError, match="nothing to resume"):
            searches.resume(row, GoOn(), NOON)
        searches.request_stop(row, NOON)
        assert not row.has_wish
        row.state = "complete"
        with pytest.raises(ConflictError, match="extend it"):
            searches.resume(row, GoOn(), NOON)


@pytest.mark.parametrize("state", ["running", "complete", "stopped"])
def test_extending_waits_until_it_does_not_run(service_database: Database, tmp_path: Path, state: State) -> None:
    with service_database.session() as session:
        row = _in_state(_submit(session, tmp_path), state)
        searches.extend(row, Extend(trials=5), NOON)
        assert row.has_wish
        with pytest.raises(ConflictError, match="waits to be begun"):
            searches.extend(row, Extend(trials=5), NOON)
        row.wish_begun = row.wish_number
        searches.extend(row, Extend(epochs=5), NOON)
        assert row.wish_number == 2


def test_what_was_deleted_can_be_restored(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        row = _in_state(_submit(session, tmp_path), "complete")
        with pytest.raises(ConflictError, match="is not deleted"):
            searches.restore(row, NOON)
        searches.delete(row, NOON)
        for change in (searches.delete, searches.request_stop):
            with pytest.raises(NotFoundError):
                change(row, NOON)
        session.flush()
        assert searches.list_searches(session, Listing()) == []
        searches.restore(row, NOON)
        assert row.desired == "stop"


def test_finding_one(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        row = _submit(session, tmp_path, name="mine")
        assert searches.find_search(session, "mine", to_change=True) is row
        with pytest.raises(NotFoundError, match="no search 'min'; did you mean 'mine'"):
            searches.find_search(session, "min")


def test_listing_pages_without_gaps_or_doubles(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        rows = [_submit(session, tmp_path, name=f"s{number}", minutes=number // 2) for number in range(7)]
        rows[3].state = "running"
        rows[4].state = "deleted"
        found: list[str] = []
        before = None
        while True:
            page = searches.list_searches(session, Listing(before=before, limit=2))
            found += [row.name for row in page[:2]]
            if len(page) <= 2:
                break
            before = page[1].submitted_at, page[1].id
        expected = sorted((row for row in rows if row.state != "deleted"), key=lambda row: (row.submitted_at, row.id))
        assert found == [row.name for row in reversed(expected)]
        assert [row.name for row in searches.list_searches(session, Listing(states=("running",)))] == ["s3"]
        assert len(searches.list_searches(session, Listing(owner="ada", space="quick"))) == 6
        assert searches.list_searches(session, Listing(owner="bob")) == []
        assert searches.list_searches(session, Listing(space="other")) == []
