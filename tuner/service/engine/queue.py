"""Who is begun next, and how many trials each running search may have at once: nothing here acts.

Users are dealt with alike, whatever they have submitted; a priority is among one user's own searches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Need:
    """A search, and what one trial of it takes."""

    id: str
    user: str
    submitted_at: datetime
    priority: int = 0
    cpus: float = 1.0
    gpus: float = 0.0
    most_trials: int | None = None
    """at once, as it was submitted; None: as many as there is room for"""


@dataclass(frozen=True)
class Room:
    """What all searches have together."""

    cpus: float
    gpus: float
    searches: int
    """at once"""


@dataclass(frozen=True)
class Limit:
    """What a user may have."""

    searches: int | None = None
    """at once; None: as many as there is room for"""
    reason: str = ""
    """why nothing of the user's is begun now; empty: it is"""


NO_LIMIT = Limit()


def in_order(waiting: Iterable[Need], running: Iterable[Need]) -> list[Need]:
    """Those that wait, in the order in which they are to be begun.

    Of a user's own the one of the greatest priority is first, then the oldest; the next one of all is of the user who
    has the fewest searches, counting those that come before it here, and then the oldest of these. So whoever submits
    on and on, with whatever priority, keeps nobody else waiting for ever.
    """
    count = Counter(need.user for need in running)
    left = sorted(waiting, key=lambda need: (-need.priority, need.submitted_at, need.id))
    ordered: list[Need] = []
    while left:
        first = {need.user: need for need in reversed(left)}.values()
        chosen = min(first, key=lambda need: (count[need.user], need.submitted_at, need.id))
        count[chosen.user] += 1
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


def to_begin(
    waiting: Iterable[Need], running: Sequence[Need], room: Room, limits: Mapping[str, Limit]
) -> tuple[list[str], dict[str, str]]:
    """Which searches to begin now, in order, and why each other one waits.

    Whoever is kept back by a user's own limit is passed by; what there is no room for keeps all after it waiting, so
    that what needs much is begun as well. What has no room even alone is begun once it is alone: its driver says why.
    """
    begun: list[Need] = []
    reasons: dict[str, str] = {}
    for need in in_order(waiting, running):
        limit, beside = limits.get(need.user, NO_LIMIT), [*running, *begun]
        if why := limit.reason or _over(limit, need, beside):
            reasons[need.id] = why
        elif reasons and any(reason in (_NO_ROOM, _TOO_MANY) for reason in reasons.values()):
            reasons[need.id] = _BEHIND
        elif len(beside) >= room.searches:
            reasons[need.id] = _TOO_MANY
        elif beside and not _fits(*_sum([*beside, need], {}), room):
            reasons[need.id] = _NO_ROOM
        else:
            begun.append(need)
    return [need.id for need in begun], reasons


_NO_ROOM = "no room for a trial of it beside those that run"
_TOO_MANY = "as many searches run as may at once"
_BEHIND = "others come first"


def trials_at_once(running: Sequence[Need], room: Room) -> dict[str, int]:
    """How many trials each running search may have at once.

    One at least; the others one by one to the user whose share of what is scarcest to them is the smallest, and of that
    user's searches to the one that has the fewest (Ghodsi et al., "Dominant resource fairness", NSDI 2011). One that
    runs alone may have as many as fit.
    """
    shares = {need.id: 1 for need in running}
    growing = sorted(running, key=lambda need: (-need.priority, need.submitted_at, need.id))
    while True:
        cpus, gpus = _sum(running, shares)
        growing = [
            need
            for need in growing
            if (need.most_trials is None or shares[need.id] < need.most_trials)
            and _fits(cpus + need.cpus, gpus + need.gpus, room)
        ]
        if not growing:
            return shares
        held = {need.user: _dominant(running, shares, need.user, room) for need in growing}
        chosen = min(growing, key=lambda need: (held[need.user], shares[need.id]))  # the first of equals
        shares[chosen.id] += 1


def _over(limit: Limit, need: Need, beside: Iterable[Need]) -> str:
    own = sum(other.user == need.user for other in beside)
    if limit.searches is None or own < limit.searches:
        return ""
    return f"its user may run {limit.searches} at once"


def _fits(cpus: float, gpus: float, room: Room) -> bool:
    return cpus <= room.cpus + 1e-9 and gpus <= room.gpus + 1e-9


def _dominant(running: Iterable[Need], shares: Mapping[str, int], user: str, room: Room) -> float:
    cpus, gpus = _sum([need for need in running if need.user == user], shares)
    return max(cpus / room.cpus if room.cpus else 0.0, gpus / room.gpus if room.gpus else 0.0)


def _sum(needs: Iterable[Need], trials: Mapping[str, int]) -> tuple[float, float]:
    """CPUs and GPUs of so many trials each."""
    known = [(need, trials.get(need.id, 1)) for need in needs]
    return sum(need.cpus * count for need, count in known), sum(need.gpus * count for need, count in known)
