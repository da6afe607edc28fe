"""A search's events as they are told, whatever becomes of connections meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx

from tuner.client.connection import Connection
from tuner.client.refusals import UnreachableError, unreachable
from tuner.client.sse import messages

PATIENCE_SECONDS = 600.0
"""without an answer, after which a server is given up"""
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 0.5, 15.0


@dataclass(frozen=True)
class Event:
    """What a search's log tells, or how the server's view of it has changed."""

    kind: str
    """`state`, or what the log calls it: `trial_started`, `epoch`, ..."""
    data: dict[str, Any]
    """the event as the log has it; of a state: `state`, `reason` and `place` in the queue"""
    seq: int | None = None
    """its number in the log; None: it is a state"""


def follow(
    connection: Connection,
    path: str,
    after: int,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Events beyond a number of the log, each once, then those to come, without end.

    Raises:
        UserError: the server refuses, or has not answered for `PATIENCE_SECONDS`.
    """
    lost_at, rest = None, _FIRST_REST_SECONDS
    while True:
        problem = None
        try:
            with _opened(connection, path, after, follow=True) as response:
                lost_at, rest = None, _FIRST_REST_SECONDS
                for event in _told(response, after):
                    after = event.seq or after
                    yield event
        except httpx.TransportError as error:
            problem = unreachable(connection.url, error)
        except UnreachableError as error:  # a proxy whose server is away for a moment
            problem = error
        lost_at = clock() if lost_at is None else lost_at
        if problem and clock() - lost_at > PATIENCE_SECONDS:
            raise problem
        sleep(rest)
        rest = min(2 * rest, _LONGEST_REST_SECONDS)


def told_so_far(connection: Connection, path: str, after: int) -> Iterator[Event]:
    """The events that the log has now.

    Raises:
        UserError: the server refuses, or does not answer.
    """
    try:
        with _opened(connection, path, after, follow=False) as response:
            yield from _told(response, after)
    except httpx.TransportError as error:
        raise unreachable(connection.url, error) from None


def _opened(connection: Connection, path: str, after: int, *, follow: bool) -> AbstractContextManager[httpx.Response]:
    return connection.stream(path, {"Last-Event-ID": str(after)}, after=after, follow=str(follow).lower())


def _told(response: httpx.Response, after: int) -> Iterator[Event]:
    """The events of one answer; none that was told before."""
    for message in messages(response.iter_bytes()):
        if message.id is None:
            yield Event(message.event, json.loads(message.data))
        elif int(message.id) > after:
            after = int(message.id)
            yield Event(message.event, json.loads(message.data), after)
