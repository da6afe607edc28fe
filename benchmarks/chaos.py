"""Kills at random moments: what of a search is lost, and what is trained twice.

    python -m benchmarks.chaos [--kills 12] [--seed 0] [--out FILE.md]

A grid of 16 trials of 6 epochs without halving, two workers, is run once undisturbed. Then it is run again, and a few
seconds after each start its driver, a worker or Ray's raylet, drawn by lot, is killed by SIGKILL; `tuner resume` goes
on each time the driver is gone. After the last kill it is left alone. The script fails unless every trial has ended
once and the records are those of the undisturbed search.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.comparing import as_text, facts, publish, quiet_environment, scratch_folder
from benchmarks.pictures import PictureSet, make_pictures
from search_spaces.document import write_yaml
from trainable.checkpoint import load_checkpoint
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.store import Store

SPACE: dict[str, Any] = {
    "version": 1,
    "about": "trials to be killed",
    "task": "multilabel",
    "objective": "f2_macro",
    "sampler": "grid",
    "scheduler": "none",
    "fixed": {
        "backbone": "timm:test_resnet",
        "pretrained": False,
        "image_size": 32,
        "epochs": 6,
        "batch_size": 16,
        "augment": "light",
    },
    "baseline": {"freeze": 0},
    "axes": {
        "freeze": {"choice": [0, 2]},
        "optimizer.lr": {"choice": [1e-4, 1e-3, 3e-3, 1e-2]},
        "schedule.kind": {"choice": ["constant", "cosine"]},
    },
}
IMAGES = (240, 60)
VICTIMS = ("driver", "worker", "raylet")
SOONEST, LATEST = 3.0, 25.0
"""seconds from a start to the next kill; a search needs some before it trains"""
PATIENCE_SECONDS = 120.0
"""that a driver has to end by itself when its Ray is gone"""


@dataclass
class Toll:
    """What kills have cost."""

    kills: Counter[str] = field(default_factory=Counter)
    repeated_epochs: list[float] = field(default_factory=list)
    """of each trial that was running at a kill: told and not saved"""
    repeated_seconds: list[float] = field(default_factory=list)
    resumes: int = 0
    killed_by_hand: int = 0
    """drivers that did not end by themselves when their Ray was gone"""


def start(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-m", "tuner.cli", *command], env=environment, stdout=out, stderr=out)


def victims_of(driver: psutil.Process, victim: str) -> Iterator[psutil.Process]:
    """The processes that may be killed as this victim."""
    if victim == "driver":
        yield driver
        return
    for process in driver.children(recursive=True):
        with suppress(psutil.Error):
            name = " ".join(process.cmdline())
            if (victim == "worker" and name.startswith("ray::TrialActor")) or (
                victim == "raylet" and process.name() == "raylet"
            ):
                yield process


def count_repeats(store: Store, toll: Toll) -> None:
    """What of the running trials has been told and is not on disk: it will be trained again."""
    for trial in replay(store.events()).trials:
        if trial.status != "running" or not trial.epochs:
            continue
        saved = 0.0
        with suppress(FileNotFoundError):
            saved = float(load_checkpoint(store.last_checkpoint(trial.id))["epoch"])
        if saved < trial.epochs_run:
            seconds = {epoch.epoch: epoch.seconds or 0.0 for epoch in trial.epochs}
            toll.repeated_epochs.append(trial.epochs_run - saved)
            toll.repeated_seconds.append((trial.seconds or 0.0) - seconds.get(saved, 0.0))


def disturb(store: Store, first: list[str], kills: int, seed: int, environment: Mapping[str, str], log: Path) -> Toll:
    """Run a search through so many kills and then to its end."""
    draw, toll, command = random.Random(seed), Toll(), first
    process = start(command, environment, log)
    while True:
        done = toll.kills.total() >= kills
        try:
            process.wait(None if done else draw.uniform(SOONEST, LATEST))
        except subprocess.TimeoutExpired:
            victim = draw.choice(VICTIMS)
            found = list(victims_of(psutil.Process(process.pid), victim))
            if not found:
                continue
            draw.choice(found).kill()
            toll.kills[victim] += 1
            print(f"{toll.kills.total()}: {victim} killed", file=sys.stderr, flush=True)
            if victim == "worker":
                continue
            try:
                process.wait(1 if victim == "driver" else PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                toll.killed_by_hand += 1
                process.kill()
                process.wait()
            count_repeats(store, toll)
        status = store.record().status if store.events_jsonl.exists() else "unborn"
        if status == "complete":
            return toll
        if status != "unborn":
            command = ["resume", str(store.folder)]
            toll.resumes += 1
        while store.folder.exists() and store.held():
            time.sleep(0.1)
        process = start(command, environment, log)


def came_to(search: SearchRecord) -> dict[str, Any]:
    """Each trial's status and scores, by its params."""
    return {
        repr(sorted(trial.params.items())): (trial.status, [(epoch.epoch, epoch.value) for epoch in trial.epochs])
        for trial in search.trials
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=12)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, help="also write everything to this JSON file")
    options.add_argument("--scratch", type=Path, help="keep pictures and runs here; default: a folder that is removed")
    given = options.parse_args()
    with scratch_folder(given.scratch) as scratch:
        pictures = PictureSet(scratch / "pictures", *IMAGES)
        make_pictures(pictures)
        space, results, log = scratch / "space.yaml", scratch / "results", scratch / "log"
        space.write_text(write_yaml(SPACE))
        environment = quiet_environment(THAW_CACHE=str(scratch / "cache"))
        command = ["search", str(space), "--data", str(pictures.table), "--results", str(results), "--workers", "2"]
        whole = start([*command, "--name", "whole"], environment, log)
        if whole.wait():
            sys.exit(log.read_text())
        store = Store(results / "killed")
        toll = disturb(store, [*command, "--name", "killed"], given.kills, given.seed, environment, log)
        expected, found = came_to(Store(results / "whole").record()), came_to(store.record())
        ends = Counter(event["trial"] for event in store.events() if event["kind"] == "trial_ended")
        lost = expected.keys() - found.keys()
        differ = [params for params in expected if params in found and found[params] != expected[params]]
        twice = [trial for trial, count in ends.items() if count > 1]
    rows = [
        ["kills", ", ".join(f"{victim} {toll.kills[victim]}" for victim in VICTIMS)],
        ["resumed", toll.resumes],
        ["drivers that had to be killed after their raylet", toll.killed_by_hand],
        ["trials", len(expected)],
        ["trials lost", len(lost)],
        ["trials with another outcome", len(differ)],
        ["trials that ended twice", len(twice)],
        ["epochs trained again, in all", f"{sum(toll.repeated_epochs):g}"],
        ["seconds trained again, most of one trial", f"{max(toll.repeated_seconds, default=0.0):.1f}"],
    ]
    made = facts(f"python -m benchmarks.chaos {' '.join(sys.argv[1:])}", 1)
    publish(given.out, made, {"A grid of 16 trials, killed at random": as_text(rows, ["", ""])}, vars(toll))
    if lost or differ or twice:
        sys.exit(f"lost {sorted(lost)}, other {differ}, twice {twice}")


if __name__ == "__main__":
    main()
