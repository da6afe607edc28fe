"""The trackers of a search, each in a process of its own, as the search's process starts, asks and ends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trainable.errors import UnreachableTrackerError
from tuner.storage.place import Place, is_url
from tuner.store import Store
from tuner.tolerant import mapping, text
from tuner.tracking.process import FINISH, PATIENCE_SECONDS
from tuner.tracking.protocol import TrackerKind
from tuner.tracking.trackers import AUTO, TRACKERS, wanted_trackers

ANSWER_SECONDS = 10.0
"""that a tracker's process has to start and to find out whether what it sends to answers"""


@dataclass(frozen=True)
class Answer:
    """What a tracker's process has found out."""

    reachable: bool
    told: str
    """where it sends to, or why it cannot"""


class TrackerProcess:
    """A tracker at work beside this process."""

    def __init__(self, kind: TrackerKind, *, is_demanded: bool) -> None:
        self.kind = kind
        self.is_demanded = is_demanded
        """whether a search is not to begin before what it sends to answers"""
        here = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tuner.tracking.process", kind.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C in a terminal is this process's affair
        )
        self._until = time.monotonic() + ANSWER_SECONDS
        self._answer = Answer(False, "no answer yet")
        self._listening = threading.Thread(target=self._listen, name=f"{kind.name}-answer", daemon=True)
        self._listening.start()

    def answer(self) -> Answer:
        """What it has found out; waits for that, not for long."""
        self._listening.join(max(0.0, self._until - time.monotonic()))
        return self._answer

    def follow(self, place: Place) -> None:
        """Have it show this search."""
        self._say(str(place) if is_url(place) else str(Path(place).absolute()))

    def finish(self) -> None:
        """Ask it to show what is left, and to end then."""
        self._say(FINISH)

    def leave(self) -> None:
        """Have it end within PATIENCE_SECONDS, with what it can show until then."""
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]  # it has one

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within this time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        self._process.kill()
        self._process.wait()
        self.leave()
        self._listening.join()
        self._process.stdout.close()  # type: ignore[union-attr]

    def _say(self, line: str) -> None:
        with suppress(OSError):  # it has gone; what it has not shown waits
            self._process.stdin.write(f"{line}\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def _listen(self) -> None:
        try:
            told = mapping(json.loads(self._process.stdout.readline()))  # type: ignore[union-attr]
        except ValueError:
            told = {"told": "its process has failed"}
        self._answer = Answer(told.get("reachable") is True, text(told.get("told")))


class Tracking:
    """The trackers of one search."""

    def __init__(self, processes: list[TrackerProcess], hints: list[str]) -> None:
        self._processes = processes
        self._hints = hints

    def require(self) -> None:
        """Find out that those answer that were demanded.

        Raises:
            UnreachableTrackerError: which do not.
        """
        silent = [process for process in self._processes if process.is_demanded and not process.answer().reachable]
        if silent:
            raise UnreachableTrackerError(
                *(
                    f"{_unreachable(process)}; repair that, or give --tracking auto to go on without"
                    for process in silent
                )
            )

    def remarks(self, name: str) -> list[str]:
        """What people should know of them as the search begins, a line each."""
        return [*(line for process in self._processes for line in _remark(process, name)), *self._hints]

    def follow(self, store: Store) -> None:
        """Have them show this search, which this process holds."""
        for process in self._processes:
            process.follow(store.place)

    def finish(self) -> None:
        """Give them PATIENCE_SECONDS for what is left; all is written, and what they cannot show until then waits."""
        until = time.monotonic() + PATIENCE_SECONDS
        for process in self._processes:
            process.leave()
        for process in self._processes:
            process.wait(max(0.0, until - time.monotonic()))


def _remark(process: TrackerProcess, name: str) -> Iterator[str]:
    answer = process.answer()
    if answer.reachable:
        yield from [f"{process.kind.shown}: {answer.told}"] * bool(answer.told)
    else:
        yield f"{_unreachable(process)}; the search goes on, and `tuner sync {name}` sends later what it tells"


def _unreachable(process: TrackerProcess) -> str:
    return f"{process.kind.shown} cannot be reached: {process.answer().told}"


@contextmanager
def started_trackers(tracking: str) -> Iterator[Tracking]:
    """Start the trackers that a search is to have, as `parse_tracking`; whatever happens, none is left at the end.

    They find out whether what they send to answers while the search is being proved.
    """
    kinds = wanted_trackers(tracking)
    hints = [kind.hint for kind in TRACKERS.values() if tracking == AUTO and kind not in kinds and kind.hint]
    processes: list[TrackerProcess] = []
    begun = Tracking(processes, hints)
    try:
        for kind in kinds:
            processes.append(TrackerProcess(kind, is_demanded=tracking != AUTO))
        yield begun
        begun.finish()
    except KeyboardInterrupt:  # at once
        raise
    except BaseException:
        begun.finish()
        raise
    finally:
        for process in processes:
            process.kill()
