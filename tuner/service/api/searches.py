"""Searches: submitted, listed, stopped, resumed, extended, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Header, Query, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from tuner.service import searches
from tuner.service.access.accounts import Caller
from tuner.service.access.security import Reader, Submitter
from tuner.service.api.answers import Page, SearchAnswer, from_cursor, to_cursor
from tuner.service.api.common import (
    Cursor,
    Limit,
    Proving,
    SearchName,
    Shared,
    now,
    row_of,
)
from tuner.service.database.rows import SearchRow, State
from tuner.service.problems import refusals
from tuner.service.searches import Listing
from tuner.service.services import Services
from tuner.service.submissions.proving import require_space
from tuner.service.submissions.submission import Extend, GoOn, Submission
from tuner.service.submitting import submit_proved

router = APIRouter(prefix="/searches", tags=["searches"])

_SUBMISSIONS = {
    "shipped": {
        "summary": "a space that comes with Thaw",
        "value": {"name": "cats-quick", "space": "quick", "data": "cats", "budget": {"trials": 12, "hours": 2}},
    },
    "text": {
        "summary": "a space of one's own",
        "value": {
            "space_yaml": "version: 1\nobjective: f1_macro\nbaseline: {backbone: lite0, freeze: all}\n"
            "axes:\n  optimizer.lr: {float: [1e-4, 1e-2], log: true}\n",
            "data": "cats",
            "priority": 5,
        },
    },
}
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="the caller's own, such as a random number: the same submission with the same key is made once",
    ),
]


@router.post("", status_code=201, responses=refusals(401, 403, 409, 413, 422, 429))
async def submit_search(
    services: Shared,
    commands: Proving,
    caller: Submitter,
    response: Response,
    submission: Annotated[Submission, Body(openapi_examples=_SUBMISSIONS)],
    key: _Key = None,
) -> SearchAnswer:
    """Put a search into the queue. Given the same `Idempotency-Key` again, it answers with the same search."""
    name = await submit_proved(services, commands, caller, submission, key)
    response.headers["Location"] = f"/v1/searches/{name}"
    return await run_in_threadpool(answer_of, services, name)


@router.get("", responses=refusals(401, 403, 422, 429))
def list_searches(
    services: Shared,
    _: Reader,
    state: Annotated[list[State] | None, Query(description="any of these; default: all but deleted ones")] = None,
    owner: Annotated[str | None, Query(max_length=100, description="a user's name")] = None,
    space: Annotated[str | None, Query(max_length=200, description="a shipped space's name")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SearchAnswer]:
    """Searches, the latest first."""
    before: tuple[datetime, str] | None = None
    if cursor is not None:
        submitted_at, id = from_cursor(cursor, datetime, str)
        before = submitted_at, id
    listing = Listing(states=tuple(state or ()), owner=owner, space=space, before=before, limit=limit)
    return listed(services, listing)


def listed(services: Services, listing: Listing) -> Page[SearchAnswer]:
    """A part of the searches that fit."""
    with services.database.reading() as session:
        rows = searches.list_searches(session, listing)
        for row in rows:
            _ = row.owner  # read while the session is there
    shown = rows[: listing.limit]
    places = {queued.name: queued for queued in services.engine.queue()}
    items = [SearchAnswer.of(row, services.readings.summary(row.name), places) for row in shown]
    last = shown[-1] if len(rows) > len(shown) else None
    return Page(items=items, next_cursor=to_cursor(last.submitted_at, last.id) if last else None)


@router.get("/{name}", responses=refusals(401, 403, 404, 422, 429))
def get_search(services: Shared, _: Reader, name: SearchName) -> SearchAnswer:
    """A search, also one that is deleted and can be restored."""
    return answer_of(services, name)


def answer_of(services: Services, name: str) -> SearchAnswer:
    """A search as it is now. Raises NotFoundError."""
    row = row_of(services, name)
    places = {queued.name: queued for queued in services.engine.queue()}
    return SearchAnswer.of(row, services.readings.summary(name), places)


def _to_change(session: Session, caller: Caller, name: str) -> SearchRow:
    row = searches.find_search(session, name, to_change=True)
    caller.require_change(row.owner_id, f"search {name!r}")
    return row


_CHANGES = refusals(401, 403, 404, 409, 422, 429)


@router.delete("/{name}", status_code=202, responses=_CHANGES)
def delete_search(services: Shared, caller: Submitter, name: SearchName) -> SearchAnswer:
    """Stop a search and hide it; for some days it can be restored, then its files go."""
    with services.database.session() as session:
        searches.delete(_to_change(session, caller, name), now())
    return answer_of(services, name)


@router.post("/{name}/restore", status_code=202, responses=_CHANGES)
def restore_search(services: Shared, caller: Submitter, name: SearchName) -> SearchAnswer:
    """Have a deleted search back, stopped."""
    with services.database.session() as session:
        searches.restore(_to_change(session, caller, name), now())
    return answer_of(services, name)


@router.post("/{name}/stop", status_code=202, responses=_CHANGES)
def stop_search(services: Shared, caller: Submitter, name: SearchName) -> SearchAnswer:
    """Have a search stop in order; what it has found stays, and it can be resumed."""
    with services.database.session() as session:
        searches.request_stop(_to_change(session, caller, name), now())
    return answer_of(services, name)


_AS_BEFORE = GoOn()


@router.post("/{name}/resume", status_code=202, responses=_CHANGES)
def resume_search(
    services: Shared,
    caller: Submitter,
    name: SearchName,
    wish: Annotated[GoOn, Body(openapi_examples={"more time": {"value": {"hours": 2}}})] = _AS_BEFORE,
) -> SearchAnswer:
    """Go on with a search that has stopped, with more time or room if it is given."""
    with services.database.session() as session:
        searches.resume(_to_change(session, caller, name), wish, now())
    return answer_of(services, name)


_EXTENSIONS = {
    "trials": {"summary": "more trials", "value": {"trials": 20}},
    "epochs": {"summary": "more epochs for the best", "value": {"epochs": 10, "top": 5}},
}


@router.post("/{name}/extend", status_code=202, responses=_CHANGES)
async def extend_search(
    services: Shared,
    commands: Proving,
    caller: Submitter,
    name: SearchName,
    wish: Annotated[Extend, Body(openapi_examples=_EXTENSIONS)],
) -> SearchAnswer:
    """Try more trials in a search, also of a wider space, or train its best ones on."""
    if wish.space_yaml is not None:
        await require_space(commands, wish.space_yaml)
    await run_in_threadpool(_extend, services, caller, name, wish)
    return await run_in_threadpool(answer_of, services, name)


def _extend(services: Services, caller: Caller, name: str, wish: Extend) -> None:
    with services.database.session() as session:
        searches.extend(_to_change(session, caller, name), wish, now())
