"""How long a search waits for its first or its next worker."""

from __future__ import annotations

import pytest

from tuner.interruption import Interruption
from tuner.ray_backend.waiting import LONGEST_WAIT_SECONDS, TOLD_AFTER_SECONDS, Waiting


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def interrupted() -> Interruption:
    return Interruption()


@pytest.fixture
def waiting(clock: Clock, notes: list[str], interrupted: Interruption) -> Waiting:
    return Waiting(lambda: "0 nodes live", notes.append, interrupted, clock)


def test_a_search_says_that_it_waits_and_that_it_goes_on(waiting: Waiting, clock: Clock, notes: list[str]) -> None:
    for _ in range(3):
        waiting.look(handed_out=2, at_work=0)
        clock.seconds += TOLD_AFTER_SECONDS / 3
    assert notes == []
    for _ in range(3):
        waiting.look(2, 0)
    assert notes == ["no worker has started for 2 minutes: 0 nodes live; the search waits up to 60 minutes"]
    waiting.look(2, 1)
    assert notes[1:] == ["workers have started again"]
    clock.seconds += TOLD_AFTER_SECONDS
    waiting.look(2, 0)
    assert len(notes) == 2


def test_a_search_gives_up_in_the_end(waiting: Waiting, clock: Clock, interrupted: Interruption) -> None:
    waiting.look(1, 0)
    clock.seconds += LONGEST_WAIT_SECONDS - 1
    waiting.look(1, 0)
    assert not interrupted.is_set()
    clock.seconds += 1
    waiting.look(1, 0)
    assert (interrupted.failed, interrupted.reason) == (True, "no worker has started for 60 minutes: 0 nodes live")


@pytest.mark.parametrize(("handed_out", "at_work"), [(0, 0), (3, 1), (3, 3)])
def test_who_works_or_has_nothing_to_do_does_not_wait(
    handed_out: int, at_work: int, waiting: Waiting, clock: Clock, notes: list[str], interrupted: Interruption
) -> None:
    waiting.look(handed_out, at_work)
    clock.seconds += 10 * LONGEST_WAIT_SECONDS
    waiting.look(handed_out, at_work)
    assert notes == []
    assert not interrupted.is_set()
