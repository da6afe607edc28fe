"""Kills at random moments: what of a search is lost, and what is trained twice.

    python -m benchmarks.chaos [--kills 12] [--seed 0] [--minutes 60] [--scheduler pausing_asha] [--out FILE.json]

A grid of 6 trials runs on two workers. Again and again, seconds after its first epoch or the last kill, a worker, Ray's
raylet, its GCS, the driver, or all of them at once (a power cut, which also tears the log's last line) is killed by
SIGKILL. A driver whose Ray is gone should end by itself. `tuner resume` goes on each time it is gone, either at once or
when all its processes are. After the last kill the search is left alone.

The script fails where a trial that had ended is lost or runs again, a trial begins twice or has two rows, a trial
trains more than 30 seconds and an epoch again, or, without halving, the records are not to the bit those of the same
search undisturbed.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import toll
from benchmarks.comparing import as_text, facts, publish, quiet_environment, scratch_folder
from benchmarks.killing import KILLS, SURVIVED, Run
from benchmarks.pictures import PictureSet, make_pictures
from search_spaces.document import write_yaml
from tuner.log import read_log
from tuner.store import Store

SPACE: dict[str, Any] = {
    "version": 1,
    "about": "trials to be killed",
    "task": "multilabel",
    "objective": "f2_macro",
    "sampler": "grid",
    "fixed": {
        "backbone": "timm:test_resnet",
        "pretrained": False,
        "image_size": 64,
        "epochs": 30,
        "batch_size": 16,
        "augment": "light",
    },
    "baseline": {"freeze": 0},
    "axes": {
        "freeze": {"choice": [0, 2]},
        "optimizer.lr": {"choice": [1e-4, 1e-3, 1e-2]},
    },
}
SCHEDULERS: dict[str, Any] = {
    "none": "none",
    "pausing_asha": {"kind": "pausing_asha", "grace_epochs": 5, "reduction_factor": 2},
}
IMAGES = (120, 40)
SOONEST, LATEST = 2.0, 20.0
"""seconds from the first epoch of a run, or from a kill, to the next kill"""
PATIENCE_SECONDS = 150.0
"""that a driver has to end by itself when its Ray is gone"""
FAREWELL_SECONDS = 90.0
"""that a driver's other processes have to end after it"""


@dataclass
class Chaos:
    """A search that is killed again and again."""

    store: Store
    first: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    kills: list[toll.Standing] = field(default_factory=list)
    ended_after: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """kind of kill -> seconds until the driver had ended by itself"""
    gone_after: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """kind of kill -> seconds until the driver's processes had ended after it"""
    left: list[str] = field(default_factory=list)
    """what had to be killed in the end"""

    def run(self, kills: int, draw: random.Random, until: float) -> None:
        """Through so many kills, none after `until` on the monotonic clock, and then to its end."""
        runs: list[Run] = []
        kinds = _in_turns(draw)
        try:
            while not self._through():
                runs.append(Run(self._command(), self.environment, self.log))
                self._disturb(runs[-1], kills, kinds, draw, until)
        finally:
            for run in runs:
                run.kill_all()

    def _through(self) -> bool:
        if not self.store.events_jsonl.exists():
            return False
        record = self.store.record()
        return record.status == "complete" and not any(trial.unfinished for trial in record.trials)

    def _command(self) -> Sequence[str]:
        return ["resume", str(self.store.folder)] if self.store.events_jsonl.exists() else self.first

    def _disturb(self, run: Run, kills: int, kinds: Iterator[str], draw: random.Random, until: float) -> None:
        """Until the driver has ended, by a kill or otherwise."""
        told = self._epochs()
        while self._epochs() == told and not run.ends_within(1.0):
            pass
        while not run.ends_within(draw.uniform(SOONEST, LATEST)):
            if len(self.kills) >= kills or time.monotonic() > until:
                run.ends_within(math.inf)
                break
            kind = next(kinds)
            if not KILLS[kind](run, self.store.events_jsonl, draw):
                continue
            self._take_in(kind)
            if kind in SURVIVED:
                continue
            began = time.monotonic()
            if not run.ends_within(PATIENCE_SECONDS):
                self.left.append(f"driver after {kind}")
                run.kill_all()
                return
            self.ended_after[kind].append(time.monotonic() - began)
            if draw.random() < 0.5:
                seconds, left = run.outlived_by(FAREWELL_SECONDS)
                self.gone_after[kind].append(seconds)
                self.left += [f"{process.name()} after {kind}" for process in left]
            return
        _require_success(run, self.log)

    def _epochs(self) -> int:
        """Told so far, by all runs."""
        told = read_log(self.store.events_jsonl, []) if self.store.events_jsonl.exists() else ()
        return sum(event["kind"] == "epoch" for event in told)

    def _take_in(self, kind: str) -> None:
        self.kills.append(toll.standing_of(self.store, kind))
        print(f"{len(self.kills)}: {kind} killed", file=sys.stderr, flush=True)


def _in_turns(draw: random.Random) -> Iterator[str]:
    """Kinds of kills by lot, each as often as the others."""
    while True:
        yield from draw.sample(list(KILLS), len(KILLS))


def _require_success(run: Run, log: Path) -> None:
    if run.code:
        sys.exit(f"the search failed by itself:\n{log.read_text()[-4000:]}")


def by_kind(chaos: Chaos) -> list[list[object]]:
    """A row a kind of kill."""
    repeated = defaultdict(list)
    for kind, one in toll.repeats(chaos.kills, list(chaos.store.events())):
        repeated[kind].append(one)
    rows = []
    for kind in KILLS:
        seconds = [one.seconds for one in repeated[kind]]
        rows.append(
            [
                kind,
                sum(kill.kind == kind for kill in chaos.kills),
                _most(chaos.ended_after[kind]),
                _most(chaos.gone_after[kind]),
                len(seconds),
                f"{sum(one.epochs for one in repeated[kind]):g}",
                f"{statistics.median(seconds):.1f}, {max(seconds):.1f}" if seconds else "-",
            ]
        )
    return rows


BY_KIND_HEADERS = (
    *("killed", "times", "driver ended after at most s", "its processes s after it", "running trials hit"),
    *("whole epochs again", "seconds again: median, most"),
)


def _most(seconds: Sequence[float]) -> str:
    return f"{max(seconds):.1f}" if seconds else "-"


def verdict(chaos: Chaos, whole: Store | None) -> dict[str, list[str]]:
    """What must be empty, by what it is."""
    record, events = chaos.store.record(), list(chaos.store.events())
    too_much = [str(one) for _, one in toll.repeats(chaos.kills, events) if one.too_much]
    found = {
        "ended trials that were lost": sorted(toll.lost(chaos.kills, record)),
        "ended trials that ran again": toll.run_again(events),
        "trials that began twice or have two rows": toll.duplicates(chaos.store),
        "trials that repeated more than 30 s and an epoch": too_much,
        "processes that had to be killed": chaos.left,
    }
    if whole:
        found["trials unlike those of the undisturbed search"] = toll.differing(whole.record(), record)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=12)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--minutes", type=float, default=60.0, help="no kill after that; the search goes to its end")
    options.add_argument("--scheduler", choices=SCHEDULERS, default="none")
    options.add_argument("--out", type=Path, help="also write everything to this JSON file")
    options.add_argument("--scratch", type=Path, help="keep pictures and runs here; default: a folder that is removed")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # so that nothing is left behind
    with scratch_folder(given.scratch) as scratch:
        chaos, whole = prepared(scratch, given.scheduler, given.seed)
        chaos.run(given.kills, random.Random(given.seed), time.monotonic() + 60 * given.minutes)
        wrong = verdict(chaos, whole)
        tables = {
            f"{len(chaos.kills)} kills of a search of {len(chaos.store.record().trials)} trials": as_text(
                by_kind(chaos), BY_KIND_HEADERS
            ),
            "What must not happen": as_text([[name, len(cases)] for name, cases in wrong.items()], ("", "cases")),
        }
        made = facts(f"python -m benchmarks.chaos {' '.join(sys.argv[1:])}", 1)
        publish(given.out, made, tables, {"wrong": wrong, "kills": [(kill.kind, kill.events) for kill in chaos.kills]})
    if any(wrong.values()):
        sys.exit(f"wrong: {wrong}")


def prepared(scratch: Path, scheduler: str, seed: int) -> tuple[Chaos, Store | None]:
    """A search to be killed and, without halving, the same one as it ends undisturbed."""
    pictures = PictureSet(scratch / "pictures", *IMAGES)
    make_pictures(pictures)
    space, results, log = scratch / f"{scheduler}.yaml", scratch / "results", scratch / f"{scheduler}-{seed}.log"
    space.write_text(write_yaml({**SPACE, "scheduler": SCHEDULERS[scheduler]}))
    environment = quiet_environment(THAW_CACHE=str(scratch / "cache"))
    command = ["search", str(space), "--data", str(pictures.table), "--results", str(results), "--workers", "2"]

    def named(name: str) -> list[str]:
        return [*command, "--name", name]

    whole = Store(results / "whole")
    if scheduler == "none" and not whole.conclusions_md.exists():
        shutil.rmtree(whole.folder, ignore_errors=True)  # of a script that was ended
        run = Run(named("whole"), environment, log)
        try:
            run.ends_within(math.inf)
            _require_success(run, log)
        finally:
            run.kill_all()
    name = f"{scheduler}-{seed}"
    killed = Chaos(Store(results / name), named(name), environment, log)
    return killed, whole if scheduler == "none" else None


if __name__ == "__main__":
    main()
