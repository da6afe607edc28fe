"""What a ClearML tracker costs a search: how long the search waits for it, and what its process takes beside it.

A search waits in two places: as it begins, where the tracker has not yet found out whether its server answers, and at
its end, for what is left to be sent. Here its log is written by hand, so that nothing else is measured; the server is
the tests' own, on loopback, so a real one's round trips come on top.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import psutil

from benchmarks.comparing import ROOT, as_text, facts, parser, publish, scratch_folder
from tuner.store import Store
from tuner.tracking.following import started_trackers

sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "tuner" / "tracking")]
from fake_clearml import FakeClearML, environment, serving
from told_search import ToldSearch

PROVING_SECONDS = 8.0
"""that a search takes before its first event; the tracker starts meanwhile"""
EPOCHS_A_TRIAL = 10
EPOCHS_A_SECOND = 2
HEADERS = ("server", "waited s: to start", "at the beginning", "at the end", "CPU s of the process", "its memory MiB")


def measure_tracking(scratch: Path, seconds: int) -> list[float]:
    """Of one search of so long: seconds waited in three places, CPU seconds and memory of the tracker's process."""
    told = ToldSearch(Store.create(scratch, f"search{len(list(scratch.iterdir()))}"))
    began = time.monotonic()
    with told.store.lock(), started_trackers("clearml") as tracking:
        started = time.monotonic() - began
        time.sleep(PROVING_SECONDS)
        began = time.monotonic()
        remarks = tracking.remarks(told.store.name)
        beginning = time.monotonic() - began
        told.begin(tracking=remarks)
        tracking.follow(told.store)
        for number in range(seconds * EPOCHS_A_SECOND):
            _tell_epoch(told, number)
            time.sleep(1 / EPOCHS_A_SECOND)
        told.end()
        (process,) = [child for child in psutil.Process().children() if "tuner.tracking.process" in child.cmdline()]
        cpu, memory = sum(process.cpu_times()[:2]), process.memory_info().rss / 2**20
        began = time.monotonic()
        tracking.finish()
        end = time.monotonic() - began
    return [started, beginning, end, cpu, memory]


def _tell_epoch(told: ToldSearch, number: int) -> None:
    trial, epoch = f"t{number // EPOCHS_A_TRIAL + 1:04}", number % EPOCHS_A_TRIAL + 1
    if epoch == 1:
        told.begin_trial(trial, number // EPOCHS_A_TRIAL)
    told.epoch(trial, epoch, 0.5)
    if epoch == EPOCHS_A_TRIAL:
        told.end_trial(trial)


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    """name -> URL"""
    with serving(FakeClearML()) as refusing:  # nobody listens there afterwards
        pass
    mute = FakeClearML(hangs={"auth.login"})
    with serving(FakeClearML()) as answering, serving(mute) as silent:
        yield {"answers": answering, "refuses connections": refusing, "takes them and never answers": silent}


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seconds", type=int, default=100, help="that a search goes on")
    given = options.parse_args()
    rows: list[Sequence[object]] = []
    with scratch_folder(given.scratch) as scratch, _servers() as servers:
        for name, url in servers.items():
            with mock.patch.dict(os.environ, {**environment(url), "CLEARML_CONFIG_FILE": str(scratch / "none")}):
                runs = [measure_tracking(scratch, given.seconds) for _ in range(given.rounds)]
            medians = map(statistics.median, zip(*runs, strict=True))
            rows.append([name, *(f"{number:.2f}" for number in medians)])
    made = facts(f"python -m benchmarks.tracking {' '.join(sys.argv[1:])}", given.rounds)
    publish(
        given.out,
        made,
        {f"Searches of {given.seconds} s, {EPOCHS_A_SECOND} epochs a second": as_text(rows, HEADERS)},
        {},
    )


if __name__ == "__main__":
    main()
