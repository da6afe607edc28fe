"""Whoever listens to a search hears each event once, in order, however slow, and from whatever number on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from told_search import ToldSearch

from tuner.service.watching import broadcasting
from tuner.service.watching.broadcasting import Broadcaster
from tuner.service.watching.readings import Readings
from tuner.store import Store


@pytest.fixture
def told(tmp_path: Path) -> ToldSearch:
    return ToldSearch(Store.create(tmp_path / "results", "flowers"))


def broadcaster_of(told: ToldSearch, **options: Any) -> Broadcaster:
    return Broadcaster(Readings(told.store.results), look_seconds=0.005, **options)


def numbers(chunk: bytes) -> list[int]:
    return [int(line.removeprefix("id: ")) for line in chunk.decode().splitlines() if line.startswith("id: ")]


async def heard(stream: AsyncIterator[bytes], up_to: int) -> list[int]:
    """Numbers of events until this one."""
    found: list[int] = []
    async for chunk in stream:
        found += numbers(chunk)
        if found and found[-1] >= up_to:
            return found
    return found


def listening(told: ToldSearch, *after: int, more: int = 40) -> list[list[int]]:
    """What those who listen from these numbers on hear, while more events are told."""

    async def run() -> list[list[int]]:
        broadcaster = broadcaster_of(told)
        broadcaster.start()
        before = broadcaster._last_seq("flowers")
        tasks = [asyncio.create_task(heard(broadcaster.stream("flowers", one), before + more)) for one in after]
        for number in range(more):
            await asyncio.to_thread(told.epoch, "t0001", number + 1, 0.5)
            if number % 7 == 0:
                await asyncio.sleep(0.01)
        found = await asyncio.gather(*tasks)
        await broadcaster.close()
        assert broadcaster.listeners == 0
        return found

    return asyncio.run(run())


def test_each_event_is_heard_once_from_any_number_on(told: ToldSearch) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    told.epoch("t0001", 1, 0.1)
    for after, found in zip((0, 1, 3, 10), listening(told, 0, 1, 3, 10), strict=True):
        assert found == list(range(after + 1, 44))


def test_who_lags_behind_what_is_kept_reads_the_log(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasting, "_KEPT", 2)
    told.begin()
    assert listening(told, 0, 0, 1) == [list(range(1, 42)), list(range(1, 42)), list(range(2, 42))]


def test_a_search_is_heard_from_its_first_event_though_it_has_not_begun(tmp_path: Path) -> None:
    async def run() -> list[int]:
        broadcaster = Broadcaster(Readings(tmp_path), look_seconds=0.005)
        broadcaster.start()
        task = asyncio.create_task(heard(broadcaster.stream("later", 0), 1))
        await asyncio.sleep(0.03)
        ToldSearch(Store.create(tmp_path, "later")).begin()
        found = await task
        await broadcaster.close()
        return found

    assert asyncio.run(run()) == [1]


def test_a_stream_that_does_not_follow_ends(told: ToldSearch) -> None:
    told.begin()
    told.trial("t0001", 0, 0.1, 0.2)

    async def run() -> list[int]:
        broadcaster = broadcaster_of(told)
        return [seq async for chunk in broadcaster.stream("flowers", 2, follow=False) for seq in numbers(chunk)]

    assert asyncio.run(run()) == [3, 4, 5]


def test_a_silent_stream_has_heartbeats(told: ToldSearch) -> None:
    told.begin()

    async def run() -> list[bytes]:
        broadcaster = broadcaster_of(told, heartbeat_seconds=0.01)
        broadcaster.start()
        stream = broadcaster.stream("flowers", 1)
        found = [await anext(stream) for _ in range(3)]
        await stream.aclose()  # type: ignore[attr-defined]
        assert broadcaster.listeners == 0
        await broadcaster.close()
        return found

    assert asyncio.run(run()) == [b": ping\n\n"] * 3


def test_states_are_told_beside_events_and_change_no_number(told: ToldSearch) -> None:
    states = [{"state": "queued"}, {"state": "running"}]

    def state_of(names: list[str]) -> Mapping[str, Mapping[str, Any]]:
        return dict.fromkeys(names, states[0])

    async def run() -> list[Mapping[str, Any]]:
        broadcaster = broadcaster_of(told, states=state_of)
        broadcaster.start()
        found: list[Mapping[str, Any]] = []
        async for chunk in broadcaster.stream("flowers", 0):
            if b"event: state" in chunk:
                assert not numbers(chunk)
                found.append(json.loads(chunk.decode().partition("data: ")[2].strip()))
                if len(found) == 2:
                    break
                states.pop(0)
        await broadcaster.close()
        return found

    assert asyncio.run(run()) == [{"state": "queued"}, {"state": "running"}]


def test_streams_end_when_the_server_does(told: ToldSearch) -> None:
    told.begin()

    async def run() -> list[int]:
        broadcaster = broadcaster_of(told)
        broadcaster.start()
        found: list[int] = []
        async for chunk in broadcaster.stream("flowers", 0):
            found += numbers(chunk)
            if found:
                await broadcaster.close()
        return found

    assert asyncio.run(run()) == [1]


def test_what_cannot_be_read_now_is_read_later(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    told.begin()

    async def run() -> list[int]:
        broadcaster = broadcaster_of(told)
        broadcaster.start()
        get, failures = broadcaster._readings.get, iter(range(20))

        def fail_at_first(name: str) -> object:
            if next(failures, None) is not None:
                raise OSError("gone for a moment")
            return get(name)

        monkeypatch.setattr(broadcaster._readings, "get", fail_at_first)
        found = await heard(broadcaster.stream("flowers", 0), 1)
        await broadcaster.close()
        return found

    assert asyncio.run(run()) == [1]
