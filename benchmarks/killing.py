"""A command of the tuner with every process that it starts, and ways to kill them. Linux only.

Only what the command itself has started is ever killed, each process by its number and start.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.comparing import ROOT
from tuner.log import read_log

LOOK_SECONDS = 0.2
"""between two looks for new processes"""


class Run:
    """`tuner ...` on its way."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tuner.cli", *command],
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.driver = psutil.Process(self._process.pid)
        self._started: dict[int, psutil.Process] = {}

    @property
    def code(self) -> int | None:
        """That the command ended with."""
        return self._process.poll()

    def ends_within(self, seconds: float) -> bool:
        """Wait for the command so long at most; whether it has ended."""
        until = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < until:
            self._look()
            time.sleep(LOOK_SECONDS)
        return self._process.poll() is not None

    def others(self, name: str = "") -> list[psutil.Process]:
        """What the command has started and still lives, by the beginning of its name."""
        self._look()
        return [process for process in self._started.values() if _name(process).startswith(name) and _name(process)]

    def outlived_by(self, seconds: float) -> tuple[float, list[psutil.Process]]:
        """Wait so long at most for the others; how long it took, and those that are left."""
        began = time.monotonic()
        while (left := [process for process in self._started.values() if _name(process)]) and (
            time.monotonic() - began < seconds
        ):
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began, left

    def kill_all(self) -> None:
        """The command and all that it has started, as at a power cut: nothing hears of another's end."""
        victims = [*self.others(), self.driver]
        for end in (psutil.Process.suspend, psutil.Process.kill):
            for victim in victims:
                with suppress(psutil.NoSuchProcess):
                    end(victim)
        self._process.wait()

    def _look(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self._started |= {child.pid: child for child in self.driver.children(recursive=True)}


def _name(process: psutil.Process) -> str:
    """Empty for one that has ended."""
    try:
        return process.name() if process.is_running() and process.status() != psutil.STATUS_ZOMBIE else ""
    except psutil.NoSuchProcess:
        return ""


Kill = Callable[[Run, Path, random.Random], bool]
"""(run, event log, draw) -> whether there was something to kill"""


def _one_named(name: str) -> Kill:
    def kill(run: Run, log: Path, draw: random.Random) -> bool:  # noqa: ARG001
        found = run.others(name)
        with suppress(psutil.NoSuchProcess):
            if found:
                draw.choice(found).kill()
        return bool(found)

    return kill


def _driver(run: Run, log: Path, draw: random.Random) -> bool:  # noqa: ARG001
    run.driver.kill()
    return True


def _everything(run: Run, log: Path, draw: random.Random) -> bool:
    run.kill_all()
    tear(log, draw)
    return True


def tear(log: Path, draw: random.Random) -> None:
    """Cut an event log as a power cut may: at any byte of its last line, if nothing has followed from that line yet."""
    written = log.read_bytes()
    last = list(read_log(log, []))[-1:]
    if written.endswith(b"\n") and last and last[0]["kind"] == "epoch":
        begins = written.rfind(b"\n", 0, -1) + 1
        with log.open("r+b") as file:
            file.truncate(draw.randrange(begins, len(written)))


KILLS: Mapping[str, Kill] = {
    "worker": _one_named("ray::TrialActor"),
    "raylet": _one_named("raylet"),
    "GCS": _one_named("gcs_server"),
    "driver": _driver,
    "everything": _everything,
}
SURVIVED = ("worker",)
"""kinds of kills that a driver goes on after"""
