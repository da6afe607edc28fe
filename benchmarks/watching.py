"""Watchers of a search's events: many connections in one process, cut off again and again."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit


@dataclass
class Watched:
    """What one watcher was told."""

    seqs: list[int] = field(default_factory=list)
    """in the order in which they came"""
    delays: list[float] = field(default_factory=list)
    """seconds from when an event was written until it was here, of those that were not there before"""
    connections: int = 0

    def lost(self, last: int) -> int:
        return last - len({*self.seqs})

    def doubled(self) -> int:
        return len(self.seqs) - len({*self.seqs})

    def is_in_order(self) -> bool:
        return self.seqs == sorted(self.seqs)


@dataclass(frozen=True)
class Target:
    """What is watched."""

    url: str
    token: str
    search: str
    known: int = 0
    """the number of the last event that was there before"""

    def request(self, after: int) -> bytes:
        """As a browser asks again: by the number of the last event that it has."""
        host = urlsplit(self.url).netloc
        lines = [
            f"GET /v1/searches/{self.search}/events HTTP/1.1",
            f"Host: {host}",
            f"Authorization: Bearer {self.token}",
            f"Last-Event-ID: {after}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


async def watch(target: Target, last: asyncio.Future[int], cut_seconds: float, lots: random.Random) -> Watched:
    """Listen until the event of the last number, which is known when all have been written.

    Args:
        cut_seconds: how long a connection lasts on average; their lengths are drawn by lot, and bounded, since one
            that has been told everything waits for its end
    """
    watched = Watched()
    while not last.done() or (watched.seqs[-1] if watched.seqs else 0) < last.result():
        try:
            async with asyncio.timeout(min(lots.expovariate(1 / cut_seconds), 4 * cut_seconds)):
                await _listen(target, watched)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.01)
    return watched


async def _listen(target: Target, watched: Watched) -> None:
    place = urlsplit(target.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(target.request(watched.seqs[-1] if watched.seqs else 0))
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(head.decode())
        watched.connections += 1
        held = b""
        async for chunk in _chunks(reader):
            *whole, held = (held + chunk).split(b"\n\n")
            for seq, written in _events(whole):
                watched.seqs.append(seq)
                if seq > target.known:
                    watched.delays.append(time.time() - written)
    finally:
        writer.close()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A body in chunks (RFC 9112, section 7.1)."""
    while size := int(await reader.readuntil(b"\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


def _events(messages: list[bytes]) -> Iterator[tuple[int, float]]:
    """Each event's number, and when it was written, in seconds since 1970."""
    for message in messages:
        fields = dict(line.split(b": ", 1) for line in message.split(b"\n") if not line.startswith(b":"))
        if b"id" in fields:
            written = datetime.fromisoformat(json.loads(fields[b"data"])["time"])
            yield int(fields[b"id"]), written.timestamp()
