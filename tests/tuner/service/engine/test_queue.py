"""The queue is fair, never gives more than there is, and does not depend on the order in which it is asked."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_rows import NOON

from tuner.service.engine.queue import Limit, Need, Room, in_order, to_begin, trials_at_once

USERS = st.sampled_from(["ada", "bob", "eve"])


def need(id: str, user: str = "ada", minute: int = 0, **fields: float) -> Need:
    return Need(id, user, NOON + timedelta(minutes=minute), **fields)  # type: ignore[arg-type]


@st.composite
def needs(draw: st.DrawFn, at_most: int = 8) -> list[Need]:
    count = draw(st.integers(0, at_most))
    return [
        Need(
            f"s{number}",
            draw(USERS),
            NOON + timedelta(minutes=draw(st.integers(0, 5))),
            draw(st.integers(-2, 2)),
            draw(st.sampled_from([0.5, 1.0, 2.0])),
            draw(st.sampled_from([0.0, 0.25, 1.0])),
            draw(st.sampled_from([None, 1, 3])),
        )
        for number in range(count)
    ]


rooms = st.builds(Room, st.sampled_from([1.0, 4.0, 16.0]), st.sampled_from([0.0, 1.0, 4.0]), st.integers(1, 5))


def _taken(running: list[Need], shares: dict[str, int]) -> tuple[float, float]:
    return (
        sum(one.cpus * shares[one.id] for one in running),
        sum(one.gpus * shares[one.id] for one in running),
    )


@given(needs(), rooms, st.randoms())
def test_shares_fit_and_leave_nobody_out(running: list[Need], room: Room, order: random.Random) -> None:
    shares = trials_at_once(running, room)
    assert shares.keys() == {one.id for one in running}
    assert all(share >= 1 for share in shares.values())
    assert all(one.most_trials is None or shares[one.id] <= one.most_trials for one in running)
    least = _taken(running, dict.fromkeys(shares, 1))
    cpus, gpus = _taken(running, shares)
    assert cpus <= max(room.cpus, least[0]) + 1e-6
    assert gpus <= max(room.gpus, least[1]) + 1e-6
    for one in running:  # nothing lies idle
        may_grow = one.most_trials is None or shares[one.id] < one.most_trials
        assert not may_grow or cpus + one.cpus > room.cpus or gpus + one.gpus > room.gpus
    shuffled = running[:]
    order.shuffle(shuffled)
    assert trials_at_once(shuffled, room) == shares


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([10.0, 16.0]))
def test_users_have_alike_however_many_searches_they_run(of_ada: int, of_bob: int, cpus: float) -> None:
    running = [need(f"a{number}", "ada") for number in range(of_ada)]
    running += [need(f"b{number}", "bob") for number in range(of_bob)]
    shares = trials_at_once(running, Room(cpus, 0.0, 99))
    of_user = Counter[str]()
    for one in running:
        of_user[one.user] += shares[one.id]
    assert abs(of_user["ada"] - of_user["bob"]) <= 1


@given(needs(), needs(), rooms, st.randoms())
def test_what_is_begun_fits_beside_what_runs(
    waiting: list[Need], running: list[Need], room: Room, order: random.Random
) -> None:
    running = [Need(f"r{one.id}", *list(vars(one).values())[1:]) for one in running]
    begun, reasons = to_begin(waiting, running, room, {"eve": Limit(searches=1)})
    assert {*begun, *reasons} == {one.id for one in waiting}
    assert not set(begun) & set(reasons)
    together = [*running, *(one for one in waiting if one.id in begun)]
    if begun:
        assert len(together) <= room.searches
    if begun and len(together) > 1:
        cpus, gpus = _taken(together, dict.fromkeys((one.id for one in together), 1))
        assert cpus <= room.cpus + 1e-6
        assert gpus <= room.gpus + 1e-6
    if any(one.user == "eve" for one in running):
        assert not any(one.user == "eve" and one.id in begun for one in waiting)
    if waiting and not running:
        assert begun, "an idle server begins something"
    shuffled = waiting[:]
    order.shuffle(shuffled)
    assert to_begin(shuffled, running, room, {"eve": Limit(searches=1)})[0] == begun


@given(needs(at_most=12), rooms)
def test_nobody_starves(waiting: list[Need], room: Room) -> None:
    """While others submit on and on with the greatest priority, all that waits is begun in the end."""
    running: list[Need] = []
    left = {one.id for one in waiting}
    queue = waiting[:]
    for round_number in range(20 * len(waiting) + 1):
        if not left:
            break
        queue.append(Need(f"new{round_number}", "mallory", NOON + timedelta(minutes=round_number), 99))
        begun, _ = to_begin(queue, running, room, {})
        running += [one for one in queue if one.id in begun]
        queue = [one for one in queue if one.id not in begun]
        left -= set(begun)
        running = running[1:]  # the oldest one ends
    assert not left


def test_of_ones_own_the_greatest_priority_then_the_oldest_is_first() -> None:
    waiting = [need("old", minute=0), need("new", minute=9), need("urgent", minute=20, priority=1)]
    assert [one.id for one in in_order(waiting, [])] == ["urgent", "old", "new"]


def test_a_priority_is_nothing_to_others() -> None:
    waiting = [need("a1", priority=9), need("a2", priority=9), need("b1", "bob", minute=5)]
    assert [one.id for one in in_order(waiting, [])] == ["a1", "b1", "a2"]
    assert [one.id for one in in_order(waiting, [need("a0")])] == ["b1", "a1", "a2"]


@pytest.mark.parametrize(("cpus", "begun"), [(8.0, []), (64.0, ["huge"])])
def test_what_needs_much_is_waited_for_and_what_can_never_fit_says_so_alone(cpus: float, begun: list[str]) -> None:
    running = [need("now", cpus=4.0)] if cpus == 8.0 else []
    waiting = [need("huge", cpus=cpus), need("small", minute=1)]
    found, reasons = to_begin(waiting, running, Room(8.0, 0.0, 9), {})
    assert found == begun
    assert "small" in reasons
