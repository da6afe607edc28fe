"""Events arrive once each and in order, whatever becomes of connections."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.errors import UserError
from tuner.client.connection import Connection
from tuner.client.events import PATIENCE_SECONDS, Event, follow, told_so_far
from tuner.client.refusals import UnreachableError

PATH = "/v1/searches/birds/events"
EVENTS = 12


def message(seq: int) -> bytes:
    return f"id: {seq}\nevent: epoch\ndata: {json.dumps({'seq': seq})}\n\n".encode()


STATE = b'event: state\ndata: {"state": "running"}\n\n'


class Flaky(httpx.BaseTransport):
    """Tells of twelve events; each connection ends in a way of its own, the last one stays open until all are told."""

    def __init__(self, endings: list[str], repeats: int = 0) -> None:
        self.asked: list[tuple[str, str]] = []
        self._endings = iter(endings)
        self._repeats = repeats
        """events before those asked for that are told once more"""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.params["after"], request.headers["last-event-id"]))
        ending = next(self._endings, "whole")
        if ending == "refused":
            raise httpx.ConnectError("refused")
        if ending == "proxy":
            return httpx.Response(502, text="<html>")
        return httpx.Response(200, content=self._body(int(request.url.params["after"]), ending))

    def _body(self, after: int, ending: str) -> Iterator[bytes]:
        yield b": here\n\n"
        yield STATE
        last = EVENTS if ending == "whole" else min(after + 2, EVENTS)
        for seq in range(max(1, after + 1 - self._repeats), last + 1):
            yield message(seq)
        if ending == "cut":
            yield message(last + 1)[:-9]
            raise httpx.ReadError("gone")
        if ending == "silent":
            raise httpx.ReadTimeout("silent")


def connection(transport: httpx.BaseTransport) -> Connection:
    return Connection("http://x", "token", httpx.Client(transport=transport))


@given(st.lists(st.sampled_from(["cut", "silent", "closed", "refused", "proxy"]), max_size=8), st.integers(0, 3))
def test_nothing_is_lost_or_told_twice(endings: list[str], repeats: int) -> None:
    transport = Flaky(endings, repeats)
    numbered = (event for event in follow(connection(transport), PATH, 0, lambda _: None) if event.seq is not None)
    told = list(itertools.islice(numbered, EVENTS))
    assert [event.seq for event in told] == [*range(1, EVENTS + 1)]
    assert told[4] == Event("epoch", {"seq": 5}, 5)
    assert all(after == last for after, last in transport.asked)


def test_states_come_along() -> None:
    assert next(follow(connection(Flaky([])), PATH, 3)) == Event("state", {"state": "running"})


def test_a_server_that_stays_away_is_given_up() -> None:
    now = itertools.count(step=PATIENCE_SECONDS / 4)
    rests: list[float] = []
    with pytest.raises(UnreachableError, match="http://x: no server answers there"):
        next(follow(connection(Flaky(["refused"] * 99)), PATH, 0, rests.append, lambda: next(now)))
    assert rests == sorted(rests)


def test_what_is_refused_is_not_asked_again() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            404,
            json={"title": "Not found", "detail": "no search 'birds'"},
            headers={"content-type": "application/problem+json"},
        )

    for ask in (follow, told_so_far):
        asked: Callable[..., Iterator[Event]] = ask
        with pytest.raises(UserError, match="no search 'birds'"):
            next(asked(connection(httpx.MockTransport(refuse)), PATH, 0))


def test_what_was_told_so_far_has_an_end() -> None:
    told = [event.seq for event in told_so_far(connection(Flaky([])), PATH, 9) if event.seq]
    assert told == [10, 11, 12]
    with pytest.raises(UnreachableError):
        list(told_so_far(connection(Flaky(["cut"])), PATH, 0))
