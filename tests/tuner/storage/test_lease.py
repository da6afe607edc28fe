from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from faulty_store import FaultyFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tuner.storage import lease as leases
from tuner.storage.lease import HEARTBEAT_SECONDS, STALE_SECONDS, Lease, LostLeaseError, holder_of
from tuner.storage.objects import Objects, StorageError, open_objects


@pytest.fixture
def objects(results: str) -> Objects:
    return open_objects(results)


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """pass_seconds(31): all there is is so much older, and so is what this machine did; nobody did anything."""
    later, clock = [0.0], leases._now_seconds
    monkeypatch.setattr(leases, "_now_seconds", lambda: clock() + later[0])

    def forward(seconds: float) -> None:
        later[0] += seconds
        for file in MemoryFileSystem.store.values():
            file.created -= timedelta(seconds=seconds)

    return forward


@contextmanager
def held(objects: Objects) -> Iterator[Lease]:
    lease = Lease(objects)
    assert lease.take() is None
    try:
        yield lease
    finally:
        lease.give_back()


def test_one_holder_at_a_time(objects: Objects) -> None:
    assert holder_of(objects) is None
    with held(objects):
        refused = Lease(objects).take()
        assert refused is not None
        assert refused.process == f"process {os.getpid()} on {os.uname().nodename}"
    with held(objects) as again:
        again.require()
    assert len(objects.listed("lock")) == 2  # what is over is cleared away, but for the store's clock


@pytest.mark.usefixtures("faulty")
def test_of_many_takers_of_a_stale_lock_one_wins(pass_seconds: Callable[[float], None]) -> None:
    objects = open_objects("faulty://many/results")
    with held(objects):
        pass_seconds(STALE_SECONDS + 1)
        takers = [Lease(objects) for _ in range(8)]
        ready, refused = threading.Barrier(len(takers)), []

        def take(lease: Lease) -> None:
            ready.wait()
            refused.append(lease.take())

        threads = [threading.Thread(target=take, args=[lease]) for lease in takers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert refused.count(None) == 1
        for lease in takers:
            if lease._thread.is_alive():
                lease.give_back()


def test_who_has_lost_the_lock_stops_writing(objects: Objects, pass_seconds: Callable[[float], None]) -> None:
    with held(objects) as slept:
        pass_seconds(STALE_SECONDS + 1)
        with held(objects) as taker:
            taker.require()
            with pytest.raises(LostLeaseError, match=r"process \d+ on .* has taken over this search.*stopped writing"):
                slept.require()
        with pytest.raises(LostLeaseError):
            slept.require()
    assert holder_of(objects).number == 2  # type: ignore[union-attr]


def test_who_slept_and_was_not_missed_goes_on(objects: Objects, pass_seconds: Callable[[float], None]) -> None:
    with held(objects) as slept:
        pass_seconds(STALE_SECONDS + 1)
        slept.require()


def test_a_heartbeat_keeps_it(objects: Objects, pass_seconds: Callable[[float], None]) -> None:
    with held(objects) as lease:
        before = objects.listed("lock")["lock/00000001.json"].modified
        lease._renew(objects)
        assert objects.listed("lock")["lock/00000001.json"].modified > before
        pass_seconds(STALE_SECONDS - HEARTBEAT_SECONDS)
        assert Lease(objects).take() is not None


def test_a_late_taker_yields_to_who_came_and_went_before(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """It read that number 1 is free; meanwhile number 2 was had and cleared away, and number 3 is held."""
    with held(objects):
        pass
    read = holder_of(objects)
    with held(objects):
        pass
    with held(objects):
        seen = iter([read])
        real = holder_of
        monkeypatch.setattr(leases, "holder_of", lambda found: next(seen, None) or real(found))
        refused = Lease(objects).take()
        assert refused is not None
        assert refused.number == 3
        assert "lock/00000002.json" not in objects.listed("lock")


def test_a_process_of_this_machine_that_is_gone_need_not_be_waited_for(objects: Objects) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with held(objects) as killed:
        told = json.loads(killed._content())
        objects.put("lock/00000001.json", json.dumps(told | {"process": ended.pid}).encode())
        with held(objects):
            pass
        objects.put("lock/00000003.json", json.dumps(told | {"process": ended.pid, "processes": "elsewhere"}).encode())
        assert Lease(objects).take() is not None
        objects.remove(["lock/00000003.json"])


def test_a_store_that_does_not_answer_keeps_nobody_writing(
    faulty: FaultyFileSystem, pass_seconds: Callable[[float], None]
) -> None:
    with held(open_objects("faulty://silent/results")) as lease:
        faulty.fault = lambda *_: OSError("unreachable")
        lease.require()
        pass_seconds(STALE_SECONDS)
        with pytest.raises(StorageError, match="unreachable"):
            lease.require()
        faulty.fault = lambda *_: None
        lease.require()
