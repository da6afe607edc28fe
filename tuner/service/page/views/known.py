"""A search as the pages name it: what the service knows of it, and how far its log says that it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from tuner.service.database.rows import State
from tuner.service.watching.reading import Progress

Verb = Literal["stop", "resume", "accept", "extend", "delete", "restore"]

STATES: tuple[State, ...] = ("queued", "starting", "running", "stopping", "stopped", "complete", "failed", "deleted")
_VERBS: Mapping[State, tuple[Verb, ...]] = {
    "queued": ("stop", "delete"),
    "starting": ("stop",),
    "running": ("stop",),
    "stopping": ("delete",),
    "stopped": ("resume", "extend", "delete"),
    "complete": ("extend", "delete"),
    "failed": ("resume", "delete"),
    "deleted": ("restore",),
}


@dataclass(frozen=True)
class Known:
    """A search, whether or not it has begun."""

    name: str
    state: State
    submitted: str
    """RFC 3339, UTC"""
    reason: str = ""
    owner: str = ""
    """empty: nobody has submitted it here"""
    place: int | None = None
    """in the queue, from 1"""
    space: str = ""
    data: str = ""
    """name of a registered data set"""
    progress: Progress | None = None
    """None: it has told nothing yet"""
    has_changed: bool = False
    """it goes on only when its changes are accepted, or undone"""

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """What can be asked of it now."""
        found = _VERBS[self.state]
        return tuple("accept" if verb == "resume" else verb for verb in found) if self.has_changed else found

    @property
    def has_ended(self) -> bool:
        return self.state in ("stopped", "complete", "failed", "deleted")


@dataclass(frozen=True)
class SearchList:
    """A page of the list of searches."""

    searches: tuple[Known, ...]
    state: str = ""
    """the only one shown; empty: all but the deleted"""
    owner: str = ""
    """whose are shown; empty: everybody's"""
    cursor: str = ""
    """where this page begins"""
    next_cursor: str | None = None
    states: tuple[State, ...] = STATES
    owners: tuple[str, ...] = ()
    """who has submitted any"""

    @property
    def is_filtered(self) -> bool:
        return bool(self.state or self.owner)

    @property
    def query(self) -> str:
        """The address of this very page."""
        return self._query(self.cursor)

    @property
    def next_query(self) -> str:
        """The address of the page of older ones; empty where there are none."""
        return self._query(self.next_cursor) if self.next_cursor else ""

    def _query(self, cursor: str) -> str:
        asked = {"state": self.state, "owner": self.owner, "cursor": cursor}
        return urlencode({name: value for name, value in asked.items() if value})


@dataclass(frozen=True)
class Viewer:
    """Who looks at a page."""

    name: str
    may_submit: bool
    is_admin: bool = False
    is_logged_in: bool = False
    """by a token; else the server is open to this machine"""

    def may_change(self, known: Known) -> bool:
        """Whether a search is theirs to stop, extend or delete."""
        return self.is_admin or (self.may_submit and bool(known.owner) and known.owner == self.name)
