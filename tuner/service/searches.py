"""What is wanted of searches: submitted, stopped, resumed, extended, deleted. The engine sees to it later.

Each takes a session that the caller commits. Who may do what is the caller's to find out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from search_spaces.shipped import shipped_paths
from trainable.errors import UserError, nearest
from tuner.service.database.rows import BUSY, DataSetRow, IdempotencyKeyRow, SearchRow, State, UserRow
from tuner.service.errors import ConflictError, NotFoundError
from tuner.service.ids import new_id
from tuner.service.submissions.submission import Extend, GoOn, Submission, Wish, read_wish
from tuner.storage.place import Place
from tuner.store import Store


@dataclass(frozen=True)
class Listing:
    """Which searches are asked for: all that fit, the latest first."""

    states: tuple[State, ...] = ()
    """none: all but deleted ones"""
    owner: str | None = None
    """a user's name"""
    space: str | None = None
    """a shipped space's name"""
    before: tuple[datetime, str] | None = None
    """submission and id of the last one that is known already"""
    limit: int = 50


def submit(
    session: Session, submission: Submission, user: UserRow, results: Place, now: datetime, key: str | None = None
) -> tuple[SearchRow, bool]:
    """Put a search into the queue.

    Args:
        key: the caller's own of this submission: given again, it is the same search

    Returns:
        The search, and whether it is new.

    Raises:
        UserError: no such space, data set or earlier search.
        ConflictError: the name is taken, the data are not ready, or the key was used for something else.
    """
    sha256 = hashlib.sha256(submission.model_dump_json().encode()).hexdigest()
    if key is not None and (used := session.get(IdempotencyKeyRow, (user.id, key))):
        if used.request_sha256 != sha256:
            raise ConflictError(f"Idempotency-Key {key!r} was used for another submission; give each one its own")
        return session.get_one(SearchRow, used.search_id), False
    require_known(session, submission)
    name = submission.name or _free_name(session, submission, now)
    if session.scalar(_named(name)):
        raise _taken(name)
    try:
        Store.require_free(results, name)
    except UserError as error:
        raise ConflictError(*error.mistakes) from None
    row = SearchRow(
        id=new_id(),
        name=name,
        owner_id=user.id,
        submission=submission.model_dump(mode="json", exclude_unset=True),
        priority=submission.priority,
        submitted_at=now,
        desired="run",
        desired_at=now,
        state="queued",
        state_since=now,
    )
    session.add(row)
    try:
        session.flush()
        if key is not None:
            used = IdempotencyKeyRow(user_id=user.id, key=key, request_sha256=sha256, search_id=row.id, created_at=now)
            session.add(used)
            session.flush()
    except IntegrityError:  # somebody was quicker
        raise _taken(name) from None
    session.refresh(row)
    return row, True


def request_stop(row: SearchRow, now: datetime) -> None:
    """Have a search stop; what was to be added to it once it does not run is forgotten.

    Raises:
        ConflictError: it neither runs nor waits.
    """
    _require_kept(row)
    if row.state not in (*BUSY, "queued") and not row.has_wish:
        raise ConflictError(f"search {row.name!r} is {row.state}: there is nothing to stop")
    row.desired, row.desired_at, row.wish = "stop", now, None


def resume(row: SearchRow, wish: GoOn, now: datetime) -> None:
    """Have a search go on that has stopped, or is about to.

    One that was refused an extension since it is not what it was is extended once its changes are accepted.

    Raises:
        ConflictError: it runs, waits, or has come to its end.
    """
    _require_kept(row)
    if row.state == "complete":
        raise ConflictError(f"search {row.name!r} is complete: there is nothing to resume; extend it")
    if row.has_wish or (row.state in ("queued", "starting", "running") and row.desired == "run"):
        raise ConflictError(f"search {row.name!r} is {row.state}: there is nothing to resume")
    if wish.accept_changes and row.wish is not None and row.refused_wish == row.wish_number:
        _wish(row, read_wish(row.wish).model_copy(update=wish.model_dump(exclude_unset=True, exclude={"verb"})), now)
    else:
        _wish(row, wish, now)


def extend(row: SearchRow, wish: Extend, now: datetime) -> None:
    """Have more trials tried, or the best ones trained on, once a search does not run.

    Raises:
        UserError: no such space.
        ConflictError: another wish of it waits, or it has not begun yet.
    """
    _require_kept(row)
    if wish.space is not None:
        _require_shipped(wish.space)
    if row.has_wish or row.state == "queued":
        raise ConflictError(f"search {row.name!r} waits to be begun: extend it once it runs")
    _wish(row, wish, now)


def delete(row: SearchRow, now: datetime) -> None:
    """Have a search stopped, hidden, and its files removed days later. Raises NotFoundError where that was asked."""
    _require_kept(row)
    row.desired, row.desired_at, row.wish = "delete", now, None


def restore(row: SearchRow, now: datetime) -> None:
    """Have a deleted search back, stopped. Raises ConflictError where it is not deleted."""
    if row.desired != "delete":
        raise ConflictError(f"search {row.name!r} is not deleted")
    row.desired, row.desired_at = "stop", now


def find_search(session: Session, name: str, *, to_change: bool = False) -> SearchRow:
    """A search by its name, also a deleted one.

    Args:
        to_change: nobody else changes it until the session's end

    Raises:
        NotFoundError: there is none; names the nearest one.
    """
    asked = _named(name)
    row = session.scalar(asked.with_for_update(of=SearchRow) if to_change else asked)
    if row is None:
        names = session.scalars(select(SearchRow.name).where(SearchRow.state != "deleted"))
        raise NotFoundError(f"there is no search {name!r}{nearest(name, names)}")
    return row


def list_searches(session: Session, listing: Listing) -> Sequence[SearchRow]:
    """The searches that fit, the latest first; one more than `limit` where there are more."""
    asked = select(SearchRow)
    if listing.states:
        asked = asked.where(SearchRow.state.in_(listing.states))
    else:
        asked = asked.where(SearchRow.state != "deleted", SearchRow.desired != "delete")
    if listing.owner is not None:
        asked = asked.join(UserRow, SearchRow.owner_id == UserRow.id).where(UserRow.name == listing.owner)
    if listing.space is not None:
        asked = asked.where(SearchRow.submission["space"].as_string() == listing.space)
    if listing.before is not None:
        asked = asked.where(tuple_(SearchRow.submitted_at, SearchRow.id) < tuple_(*listing.before))
    latest_first = asked.order_by(SearchRow.submitted_at.desc(), SearchRow.id.desc())
    return session.scalars(latest_first.limit(listing.limit + 1)).all()


def owners_of_searches(session: Session) -> Sequence[str]:
    """The names of those who have submitted any."""
    return session.scalars(select(UserRow.name).join(SearchRow).distinct().order_by(UserRow.name)).all()


def require_known(session: Session, submission: Submission) -> DataSetRow:
    """The data set that a submission names, and that all else that it names is there too.

    Raises:
        UserError: no such space, data set or earlier search.
        ConflictError: the data are not ready.
    """
    if submission.space is not None:
        _require_shipped(submission.space)
    data = session.scalar(select(DataSetRow).where(DataSetRow.name == submission.data))
    if data is None:
        names = session.scalars(select(DataSetRow.name))
        raise UserError(f"data: there is no data set {submission.data!r}{nearest(submission.data, names)}")
    if data.state != "ready":
        raise ConflictError(f"data set {data.name!r} is {data.state}; wait for it, or look at what it tells")
    earlier = submission.warm_start
    if earlier is not None and not session.scalar(_named(earlier).where(SearchRow.state != "deleted")):
        names = session.scalars(select(SearchRow.name))
        raise UserError(f"warm_start: there is no search {earlier!r}{nearest(earlier, names)}")
    return data


def shown_state(row: SearchRow) -> State:
    """How people are told of a search: what was asked for is under way from that moment on."""
    if row.desired == "delete":
        return "deleted"
    if row.state in BUSY:
        return "stopping" if row.desired == "stop" else row.state
    return "queued" if row.has_wish else row.state


def _require_shipped(space: str) -> None:
    shipped = shipped_paths()
    if space not in shipped:
        raise UserError(f"space: there is no shipped space {space!r}{nearest(space, shipped)}")


def _free_name(session: Session, submission: Submission, now: datetime) -> str:
    stem = f"{(submission.space or submission.data).rpartition('/')[2]}-{now:%Y%m%d-%H%M%S}"[-90:]
    number = 1
    while session.scalar(_named(stem if number == 1 else f"{stem}-{number}")):
        number += 1
    return stem if number == 1 else f"{stem}-{number}"


def _named(name: str) -> Select[SearchRow]:
    return select(SearchRow).where(SearchRow.name == name)


def _taken(name: str) -> ConflictError:
    return ConflictError(f"search {name!r} exists: nothing is overwritten; choose another name")


def _require_kept(row: SearchRow) -> None:
    if row.desired == "delete" or row.state == "deleted":
        raise NotFoundError(f"search {row.name!r} was deleted; restore it first")


def _wish(row: SearchRow, wish: Wish, now: datetime) -> None:
    row.wish = wish.model_dump(mode="json", exclude_none=True)
    row.wish_number += 1
    row.desired, row.desired_at = "run", now
