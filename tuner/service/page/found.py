"""Searches as the pages name them, of the database's rows and of what their logs tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from tuner.service.database.rows import SearchRow, State
from tuner.service.page.views.known import STATES, Known, SearchList
from tuner.service.searches import Listing, find_search, list_searches, owners_of_searches, shown_state
from tuner.service.services import Services
from tuner.tolerant import text

ON_A_PAGE = 50


def known_search(services: Services, name: str) -> Known:
    """One of them. Raises NotFoundError where there is none."""
    with services.database.reading() as session:
        row = find_search(session, name)
        return _known(services, row, _places(services))


def known_searches(services: Services, state: str = "", owner: str = "", cursor: str = "") -> SearchList:
    """A page of the list, the latest first; what makes no sense is as if it were not there."""
    state = state if state in STATES else ""
    states: tuple[State, ...] = tuple(known for known in STATES if known == state)
    places = _places(services)
    with services.database.reading() as session:
        listing = Listing(states=states, owner=owner or None, before=_before(cursor), limit=ON_A_PAGE)
        rows, owners = list_searches(session, listing), owners_of_searches(session)
        found = tuple(_known(services, row, places) for row in rows[:ON_A_PAGE])
    more = f"{rows[ON_A_PAGE - 1].submitted_at.isoformat()} {rows[ON_A_PAGE - 1].id}" if len(rows) > ON_A_PAGE else None
    return SearchList(found, state, owner, cursor, more, owners=tuple(owners))


def _before(cursor: str) -> tuple[datetime, str] | None:
    time, _, id = cursor.partition(" ")
    try:
        return datetime.fromisoformat(time), id
    except ValueError:
        return None


def _places(services: Services) -> dict[str, int]:
    return {queued.name: queued.place for queued in services.engine.queue()}


def _known(services: Services, row: SearchRow, places: Mapping[str, int]) -> Known:
    submission = row.submission
    found = Known(
        name=row.name,
        state=shown_state(row),
        submitted=row.submitted_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        reason=row.reason,
        owner=row.owner.name if row.owner else "",
        place=places.get(row.name),
        space=text(submission.get("space")) or ("" if not submission else "space"),
        data=text(submission.get("data")),
        has_changed=row.has_changed,
    )
    summary = services.readings.summary(row.name)
    if summary is None:
        return found
    facts = summary.facts
    return replace(
        found,
        progress=summary.progress,
        space=found.space or text(facts.get("space")),
        reason=found.reason or text(facts.get("reason")),
    )
