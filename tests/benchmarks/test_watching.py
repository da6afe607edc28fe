"""Watchers notice what a server loses, tells twice or in another order."""

from __future__ import annotations

import asyncio
import json
import random
import re

import pytest

from benchmarks.watching import Target, Watched, watch

EVENTS = 20


def chunk(seq: int) -> bytes:
    body = f"id: {seq}\nevent: epoch\ndata: {json.dumps({'time': '2026-03-01T12:00:00.000Z'})}\n\n".encode()
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


async def watched_of(told: list[int], at_once: int) -> Watched:
    """What a watcher gets of a server that tells this, so many events a connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked = re.search(r"Last-Event-ID: (\d+)", head)
        assert asked
        after = int(asked[1])
        begin = told.index(after) + 1 if after else 0
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n: here\n\n\r\n")
        writer.writelines(chunk(seq) for seq in told[begin : begin + at_once])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        last = asyncio.get_running_loop().create_future()
        last.set_result(EVENTS)
        target = Target(f"http://127.0.0.1:{port}", "token", "search", known=5)
        return await watch(target, last, cut_seconds=60, lots=random.Random(0))


@pytest.mark.parametrize("at_once", [3, EVENTS])
def test_a_faithful_server_is_found_so(at_once: int) -> None:
    watched = asyncio.run(watched_of([*range(1, EVENTS + 1)], at_once))
    assert (watched.lost(EVENTS), watched.doubled(), watched.is_in_order()) == (0, 0, True)
    assert watched.connections == -(-EVENTS // at_once)
    assert len(watched.delays) == EVENTS - 5


def test_faults_are_counted() -> None:
    watched = asyncio.run(watched_of([1, 2, 4, 3, 3, *range(6, EVENTS + 1)], EVENTS))
    assert (watched.lost(EVENTS), watched.doubled(), watched.is_in_order()) == (1, 1, False)
