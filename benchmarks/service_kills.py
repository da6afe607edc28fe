"""What becomes of a server's searches when anything is killed: kills in a row, and how long until it trains again.

    python -m benchmarks.service_kills [--rounds N] [--seed N]

Two small searches share a server with a Ray of its own. In each round one kind of kill is done while both train; then
the time is taken until both have trained a further epoch. At the end both are stopped: no epoch of a trial may be in
the log twice, no trial have ended twice, and no process be left.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests"))

from small_servers import SmallServer  # noqa: E402

SEARCHES = ("first", "second")
TRIALS, EPOCHS = 400, 20
"""more than are trained meanwhile"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, folder = random.Random(given.seed), Path(tempfile.mkdtemp(prefix="srv"))
    os.environ |= {"THAW_CACHE": str(folder / "cache"), "HOME": str(folder), "THAW_TRACKING": "off"}
    server = SmallServer(folder)
    try:
        server.start()
        server.register_data()
        for name in SEARCHES:
            server.submit(name, TRIALS, EPOCHS)
        _trained_on(server)
        kinds = [kind for kind in KINDS for _ in range(given.rounds)]
        rng.shuffle(kinds)
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for kind in kinds:
            began, runs = time.monotonic(), {name: server.count(name, "search_resumed") for name in SEARCHES}
            for name in KINDS[kind](server):
                server.wait_for(name, runs[name] + 1, "search_resumed")
            _trained_on(server)
            seconds[kind].append(time.monotonic() - began)
            print(f"{kind}: {seconds[kind][-1]:.0f} s", file=sys.stderr, flush=True)
        for name in SEARCHES:
            server.ask("POST", f"/v1/searches/{name}/stop")
        states = [server.wait_until_done(name) for name in SEARCHES]
        exit_code = server.stop()
        _print(server, seconds, states, exit_code)
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


def _kill_server(server: SmallServer) -> Sequence[str]:
    assert server.process is not None
    server.kill(server.process.pid)
    server.start()
    return ()


def _kill_driver(server: SmallServer) -> Sequence[str]:
    server.kill(server.driver(SEARCHES[0]))
    return SEARCHES[:1]


def _kill_ray(server: SmallServer) -> Sequence[str]:
    server.kill(server.ray())
    return SEARCHES


def _kill_all(server: SmallServer) -> Sequence[str]:
    for name in SEARCHES:
        server.kill(server.driver(name))
    server.kill(server.ray())
    _kill_server(server)
    return SEARCHES


def _restart(server: SmallServer) -> Sequence[str]:
    server.stop()
    server.start()
    return SEARCHES


KINDS: dict[str, Callable[[SmallServer], Sequence[str]]] = {
    "kill -9 of the server": _kill_server,
    "kill -9 of one driver": _kill_driver,
    "kill -9 of Ray": _kill_ray,
    "kill -9 of all": _kill_all,
    "SIGTERM of the server": _restart,
}
"""what does it; tells which searches have to be begun again"""


def _trained_on(server: SmallServer) -> None:
    """Wait until every search has a further epoch."""
    before = {name: server.count(name, "epoch") for name in SEARCHES}
    for name in SEARCHES:
        server.wait_for(name, before[name] + 1, "epoch")


def _print(server: SmallServer, seconds: dict[str, list[float]], states: list[str], exit_code: int) -> None:
    print("| what was done | times | until both train on, median (most), s |\n|---|---|---|")
    for kind, took in seconds.items():
        if took:
            print(f"| {kind} | {len(took)} | {median(took):.0f} ({max(took):.0f}) |")
    print()
    for name, state in zip(SEARCHES, states, strict=True):
        events = server.events(name)
        epochs = Counter((event["trial"], event["epoch"]) for event in events if event["kind"] == "epoch")
        ends = Counter(
            event["trial"] for event in events if event["kind"] == "trial_ended" and event["status"] == "complete"
        )
        twice = sum(count > 1 for count in (*epochs.values(), *ends.values()))
        runs = sum(event["kind"] in ("search_started", "search_resumed") for event in events)
        print(f"{name}: {state} after {runs} runs, {len(ends)} trials complete, {twice} epochs or ends told twice")
    print(f"exit code of the server {exit_code}, processes left {len(server.left_over())}")


if __name__ == "__main__":
    main()
