"""What a server takes and how late its events are: many watchers of one search among many, cut off again and again.

The server is `tuner serve` in a process of its own. The search that is watched is written by hand, event by event, as
its process would, so that nothing else is measured; watchers are one process beside it. Every event that a watcher gets
is held against the log: none may be missing, twice or out of order, though connections last for seconds only.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.comparing import ROOT, as_text, facts, parser, publish, scratch_folder
from benchmarks.serving import DATA_SET, Served, served
from benchmarks.watching import Target, Watched, watch
from tuner.client import Client
from tuner.store import Store

sys.path.append(str(ROOT / "tests"))
from told_search import ToldSearch

TRIALS, EPOCHS = 20, 10
"""of each search that is there"""
WATCHED = "watched"
LOOK_SECONDS = 5.0
"""between two looks at the server's memory"""


@dataclass
class Load:
    """What came of one run."""

    watchers: list[Watched]
    events: int
    """that were written meanwhile"""
    last: int
    """the number of the last one in the log"""
    seconds: float
    cpu_seconds: float
    """of the server's process"""
    memory_mib: list[float] = field(default_factory=list)
    """of the same, every few seconds"""


def write_searches(results: Path, number: int) -> None:
    """Finished searches, as their processes would have left them."""
    for index in range(number - 1):
        told = ToldSearch(Store.create(results, f"search{index:02}"))
        with told.store.lock():
            told.begin()
            for trial in range(TRIALS):
                values = [0.4 + 0.001 * trial + 0.01 * epoch for epoch in range(EPOCHS)]
                told.trial(f"t{trial + 1:04}", trial, *values)
            told.end()


async def load(
    server: Served, told: ToldSearch, watchers: int, seconds: float, events_a_second: float, cut_seconds: float
) -> Load:
    """Have a search watched while it is told."""
    process = psutil.Process(server.pid)
    known = len(list(told.store.events()))
    target = Target(server.url, server.token, WATCHED, known)
    last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    watching = [asyncio.create_task(watch(target, last, cut_seconds, random.Random(one))) for one in range(watchers)]
    began, cpu = time.monotonic(), sum(process.cpu_times()[:2])
    memory: list[float] = []
    looking = asyncio.create_task(_look(process, memory))
    written = await asyncio.to_thread(_tell, told, seconds, events_a_second)
    last.set_result(known + written)
    found = await asyncio.wait_for(asyncio.gather(*watching), timeout=60)
    looking.cancel()
    took, used = time.monotonic() - began, sum(process.cpu_times()[:2]) - cpu
    return Load(found, written, known + written, took, used, memory)


async def _look(process: psutil.Process, memory: list[float]) -> None:
    while True:
        memory.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(LOOK_SECONDS)


def _tell(told: ToldSearch, seconds: float, events_a_second: float) -> int:
    """Write epochs at this pace; how many."""
    began, written = time.monotonic(), 0
    with told.store.lock():
        while (now := time.monotonic() - began) < seconds:
            trial, epoch = f"t{written // EPOCHS + 1:04}", written % EPOCHS + 1
            told.epoch(trial, epoch, 0.5)
            written += 1
            time.sleep(max(0.0, written / events_a_second - now))
    return written


def submit_seconds(client: Client, number: int) -> list[float]:
    """How long each of so many submissions takes, one after another; none of them is begun."""
    found = []
    for _ in range(number):
        began = time.perf_counter()
        client.submit({"space": "quick", "data": DATA_SET, "hypothesis": "it is quick"})
        found.append(time.perf_counter() - began)
    return found


def quantile(numbers: Sequence[float], share: float) -> float:
    return sorted(numbers)[min(len(numbers) - 1, round(share * (len(numbers) - 1)))]


def rows(found: Load) -> Iterator[list[str]]:
    """What is told of a run."""
    delays = [delay for watched in found.watchers for delay in watched.delays]
    yield ["events written", str(found.events)]
    yield ["events delivered", f"{len(delays)} to {len(found.watchers)} watchers"]
    yield [
        "delivery, median / p99 / most, s",
        " / ".join(f"{part:.2f}" for part in (statistics.median(delays), quantile(delays, 0.99), max(delays))),
    ]
    yield ["connections", str(sum(watched.connections for watched in found.watchers))]
    yield ["lost", str(sum(watched.lost(found.last) for watched in found.watchers))]
    yield ["twice", str(sum(watched.doubled() for watched in found.watchers))]
    yield ["out of order", str(sum(not watched.is_in_order() for watched in found.watchers))]
    share = 100 * found.cpu_seconds / found.seconds
    yield ["CPU of the server", f"{share:.0f} % of a core, over {found.seconds:.0f} s"]
    fifth = max(1, len(found.memory_mib) // 5)
    parts = [statistics.median(found.memory_mib[at : at + fifth]) for at in range(0, fifth * 5, fifth)]
    yield ["memory of the server by fifths of the time, MiB", ", ".join(f"{part:.0f}" for part in parts)]


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--watchers", type=int, default=200)
    options.add_argument("--searches", type=int, default=50)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--events-a-second", type=float, default=4)
    options.add_argument("--cut-seconds", type=float, default=10, help="that a connection lasts on average")
    options.add_argument("--submissions", type=int, default=200)
    given = options.parse_args()
    with scratch_folder(given.scratch) as scratch:
        results = scratch / "results"
        write_searches(results, given.searches)
        told = ToldSearch(Store.create(results, WATCHED))
        told.begin()
        told.begin_trial("t0001", 0)
        with served(scratch, results) as server, Client(server.url, server.token) as client:
            seconds = submit_seconds(client, given.submissions)
            how = (given.watchers, given.seconds, given.events_a_second, given.cut_seconds)
            found = asyncio.run(load(server, told, *how))
    submitted = " / ".join(f"{1000 * quantile(seconds, share):.0f}" for share in (0.5, 0.99, 1.0))
    table = [*rows(found), [f"{given.submissions} submissions, median / p99 / most, ms", submitted]]
    made = facts(f"python -m benchmarks.service_load {' '.join(sys.argv[1:])}", 1)
    title = f"{given.watchers} watchers of one search among {given.searches}, {given.events_a_second:g} events a second"
    publish(given.out, made, {title: as_text(table, ("", ""))}, {})


if __name__ == "__main__":
    main()
