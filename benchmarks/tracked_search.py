"""What a ClearML server that is gone costs a whole search with Ray: its wall time, its end, CPU time of its processes.

Every contender is `tuner search` with the same trials, one at a time, whose steps wait instead of computing, so that
what else runs on the machine hardly counts. `none` has no tracker; the others have `auto`, with ClearML configured for
a server that answers (the tests' own), for one that refuses connections, or for a mute one that takes them and never
answers.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from benchmarks.comparing import ROOT, as_text, facts, in_turns, parser, publish, quiet_environment, scratch_folder
from benchmarks.pictures import PictureSet, make_pictures
from search_spaces.document import write_yaml
from tuner.store import Store

sys.path.append(str(ROOT / "tests" / "tuner" / "tracking"))
from fake_clearml import FakeClearML, environment, serving

TRIALS, EPOCHS, STEPS = 6, 5, 3
BATCH = 12
SPACE: dict[str, Any] = {
    "version": 1,
    "about": "trials that wait",
    "objective": "f2_macro",
    "sampler": "random",
    "scheduler": "none",
    "fixed": {
        "backbone": "timm:test_resnet",
        "pretrained": False,
        "image_size": 32,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "loss.kind": "waiting",
    },
    "baseline": {"freeze": 2},
    "axes": {"optimizer.lr": {"float": [1e-4, 1e-2], "log": True}},
}
OFF, ANSWERS, REFUSES, MUTE = "none", "answers", "refuses", "mute"
SERVERS = (ANSWERS, REFUSES, MUTE)
LOOK_SECONDS = 0.5
HEADERS = ("server", "wall s", "of it: after the log's end", "an epoch s", "epoch / none", "CPU s: driver", "trackers")


@dataclass
class Run:
    """One search, in seconds."""

    wall: float = 0.0
    """of the command"""
    epoch: float = 0.0
    """median time between two epochs of a trial, which bursts of other work on the machine hardly move"""
    end: float = 0.0
    """from the last event until the command has ended"""
    cpu: dict[str, float] = field(default_factory=dict)
    """`driver` or a tracker -> user and system time"""


def run_search(folder: Path, pictures: PictureSet, space: Path, tracking: str, settings: Mapping[str, str]) -> Run:
    """Raises SystemExit where it fails."""
    command = [sys.executable, "-m", "tuner.cli", "search", str(space), "--data", str(pictures.table)]
    command += ["--results", str(folder), "--name", "one", "--trials", str(TRIALS), "--workers", "1"]
    command += ["--plugin", str(ROOT / "benchmarks" / "waiting.py"), "--tracking", tracking]
    told = quiet_environment(THAW_CACHE=str(folder / "cache"), **settings)
    began, run = time.time(), Run()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=told, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            _read_cpu(psutil.Process(process.pid), run.cpu)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
    ended = time.time()
    if process.returncode:
        sys.exit(f"{command} failed:\n{(folder / 'log').read_text()[-4000:]}")
    told = [(event["kind"], _time_of(event)) for event in Store(folder / "one").events()]
    epochs = [after - before for (one, before), (other, after) in pairwise(told) if one == other == "epoch"]
    run.wall, run.end, run.epoch = ended - began, ended - told[-1][1], statistics.median(epochs)
    return run


def _time_of(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def _read_cpu(driver: psutil.Process, cpu: dict[str, float]) -> None:
    with suppress(psutil.Error):
        cpu["driver"] = sum(driver.cpu_times()[:2])
        for child in driver.children():
            with suppress(psutil.Error):
                if "tuner.tracking.process" in (line := child.cmdline()):
                    cpu[line[-1]] = sum(child.cpu_times()[:2])


@contextmanager
def _settings() -> Iterator[dict[str, dict[str, str]]]:
    """contender -> environment variables"""
    with serving(FakeClearML()) as refusing:  # nobody listens there afterwards
        pass
    mute = FakeClearML(hangs={"auth.login"})
    with serving(FakeClearML()) as answering, serving(mute) as silent:
        urls = {ANSWERS: answering, REFUSES: refusing, MUTE: silent}
        yield {OFF: {}} | {name: environment(url) for name, url in urls.items()}


def _rows(runs: Mapping[str, Sequence[Run]]) -> Iterator[list[str]]:
    def median(name: str, of: str) -> float:
        return statistics.median(getattr(run, of) for run in runs[name])

    for name, own in runs.items():
        trackers = [sum(run.cpu.values()) - run.cpu["driver"] for run in own]
        cpu = statistics.median(run.cpu["driver"] for run in own), statistics.median(trackers)
        ratio = median(name, "epoch") / median(OFF, "epoch")
        seconds = [f"{median(name, 'wall'):.1f}", f"{median(name, 'end'):.1f}", f"{median(name, 'epoch'):.3f}"]
        yield [name, *seconds, f"{ratio:.3f}", *(f"{number:.1f}" for number in cpu)]


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--servers", choices=SERVERS, nargs="+", default=SERVERS, help="beside none")
    options.add_argument("--seconds", type=float, default=1.0, help="that a step waits")
    given = options.parse_args()
    runs: defaultdict[str, list[Run]] = defaultdict(list)
    with scratch_folder(given.scratch) as scratch, _settings() as settings:
        pictures = PictureSet(scratch / "pictures", STEPS * BATCH, BATCH)
        make_pictures(pictures)
        fixed = SPACE["fixed"] | {"loss.seconds": given.seconds}
        space = scratch / "space.yaml"
        space.write_text(write_yaml(SPACE | {"fixed": fixed}))
        for name in in_turns([OFF, *given.servers], given.rounds):
            folder = scratch / "run"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            mode = "off" if name == OFF else "auto"
            none = {"CLEARML_CONFIG_FILE": str(scratch / "none")}
            runs[name].append(run_search(folder, pictures, space, mode, none | settings[name]))
            print(name, runs[name][-1], file=sys.stderr, flush=True)
    made = facts(f"python -m benchmarks.tracked_search {' '.join(sys.argv[1:])}", given.rounds)
    waited = TRIALS * EPOCHS * STEPS * given.seconds
    title = f"Searches of {TRIALS} trials that wait {waited:.0f} s in all"
    numbers = {name: [asdict(run) for run in own] for name, own in runs.items()}
    publish(given.out, made, {title: as_text(list(_rows(runs)), HEADERS)}, {"runs": json.loads(json.dumps(numbers))})


if __name__ == "__main__":
    main()
