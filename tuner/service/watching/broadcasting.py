"""Events of searches as they are told, to however many listen: each is read and encoded once.

Who listens has a number, that of the last event sent, and no queue: who is slow finds what it missed in the log, so
that nothing is lost or sent twice and no client can take memory.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from tuner.service.watching.reading import EVENTS_AT_ONCE, Told
from tuner.service.watching.readings import Readings

LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
"""proxies close what is silent for a minute"""
_KEPT = 1024
"""encoded events of a watched search; older ones are read again"""

State = Mapping[str, Any]
"""of a search as the service knows it: its state, why, and its place in the queue"""


@dataclass
class _Watched:
    """A search that someone listens to."""

    listeners: int = 0
    seq: int = 0
    """of the last event read"""
    encoded: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    state: State | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """set, and replaced by another one, when there is something to send"""

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def after(self, seq: int) -> list[tuple[int, bytes]] | None:
        """The encoded events of higher numbers; None: some of them are no longer kept."""
        if seq >= self.seq:
            return []
        if not self.encoded or self.encoded[0][0] > seq + 1:
            return None
        return [one for one in self.encoded if one[0] > seq]


class Broadcaster:
    """Reads what is new of the searches that are listened to, in one task, and wakes those who listen."""

    def __init__(
        self,
        readings: Readings,
        states: Callable[[list[str]], Mapping[str, State]] = lambda _: {},
        look_seconds: float = LOOK_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._readings = readings
        self._states = states
        self._look_seconds = look_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._watched: dict[str, _Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.delivered = 0
        """events sent, to all who listen together"""

    @property
    def listeners(self) -> int:
        return sum(watched.listeners for watched in self._watched.values())

    def start(self) -> None:
        """Begin to look; in a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._look_on(), name="broadcaster")

    async def close(self) -> None:
        """End all streams, and the task."""
        self._closed = True
        for watched in self._watched.values():
            watched.tell()
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def stream(self, name: str, after: int, follow: bool = True) -> AsyncIterator[bytes]:
        """A search's events beyond a number as Server-Sent Events, then those to come, with a heartbeat.

        An event's id is its number in the log. `state` events have none, so that a client's Last-Event-ID stays one.
        Without `follow` it ends with what the log has now.
        """
        if not follow:
            while batch := await self._read(name, after):
                after = batch[-1][0]
                yield self._sent(batch)
            return
        watched = self._watched.setdefault(name, _Watched())
        watched.listeners += 1
        try:
            async for chunk in self._follow(name, watched, after):
                yield chunk
        finally:
            watched.listeners -= 1
            if not watched.listeners and self._watched.get(name) is watched:
                del self._watched[name]

    async def _follow(self, name: str, watched: _Watched, after: int) -> AsyncIterator[bytes]:
        shown: State | None = None
        yield KEEPALIVE_COMMENT  # so that whoever connects knows at once that it is
        while not self._closed:
            changed = watched.changed  # taken first: what is told from here on sets it
            if watched.state != shown:
                shown = watched.state
                yield format_sse_event(event="state", data_str=json.dumps(shown))
            try:
                batch = watched.after(after) if watched.seq else None
                batch = await self._read(name, after) if batch is None else batch
            except OSError:  # a store that does not answer now
                await asyncio.sleep(self._look_seconds)
                continue
            if batch:
                after = batch[-1][0]
                yield self._sent(batch)
                continue
            try:
                await asyncio.wait_for(changed.wait(), self._heartbeat_seconds)
            except TimeoutError:
                yield KEEPALIVE_COMMENT

    def _sent(self, batch: list[tuple[int, bytes]]) -> bytes:
        self.delivered += len(batch)
        return b"".join(encoded for _, encoded in batch)

    async def _read(self, name: str, after: int) -> list[tuple[int, bytes]]:
        return await asyncio.to_thread(self._read_now, name, after)

    def _read_now(self, name: str, after: int) -> list[tuple[int, bytes]]:
        reading = self._readings.get(name)
        found = reading.events(after, EVENTS_AT_ONCE) if reading else []
        return [(told.seq, encoded(told)) for told in found]

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            with suppress(Exception):  # what cannot be read now is looked at again
                await self._look()

    async def _look(self) -> None:
        names = list(self._watched)
        if not names:
            return
        states = await asyncio.to_thread(self._states, names)
        for name in names:
            if watched := self._watched.get(name):
                await self._look_at(name, watched, states.get(name))

    async def _look_at(self, name: str, watched: _Watched, state: State | None) -> None:
        before = watched.seq, watched.state
        if not watched.seq:  # what is there already, each who listens reads for itself
            watched.seq = await asyncio.to_thread(self._last_seq, name)
        elif found := await self._read(name, watched.seq):
            watched.encoded.extend(found)
            watched.seq = found[-1][0]
        watched.state = state or watched.state
        if before != (watched.seq, watched.state):
            watched.tell()

    def _last_seq(self, name: str) -> int:
        reading = self._readings.get(name)
        return reading.last_seq() if reading else 0


def encoded(told: Told) -> bytes:
    """An event for the wire: its number as id, its kind as the event's name, and the whole of it as JSON."""
    return format_sse_event(event=told.kind, data_str=told.line, id=str(told.seq))
