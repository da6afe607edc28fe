"""What a command costs: wall time, and CPU time of every process that it starts. Linux only.

The kernel adds a process's CPU time to its parent's when the parent waits for it. Here that sum is exact, orphans
included: this process adopts and awaits them. A parent that ignores SIGCHLD waits for nobody, and Ray's raylet is one:
its workers, most of a search's cost, would be missing. Their times are read from /proc until they end, and are at most
`LOOK_SECONDS` of each short.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h"""
LOOK_SECONDS = 0.05
LOOKS_A_CENSUS = 8
"""between two looks for new processes, which are dearer than a look at known ones"""
FAREWELL_SECONDS = 20.0
"""that a command's processes have to end after it; the rest are killed"""


@dataclass(frozen=True)
class Cost:
    """Of one command, in seconds."""

    wall: float
    """until the command itself ended"""
    cpu: float
    """user and system time of all its processes, until the last one ended"""
    timeline: Sequence[tuple[float, float]] = field(default=(), repr=False)
    """(wall, CPU time seen so far); for parts of a command, since what had not been seen yet is missing"""
    began: float = 0.0
    """time.time()"""

    def cpu_until(self, wall: float) -> float:
        """CPU time seen until then, seconds after the command began."""
        known = [(0.0, 0.0), *self.timeline, (self.wall, self.cpu)]
        for (earlier, before), (later, after) in pairwise(known):
            if wall <= later:
                share = (wall - earlier) / (later - earlier) if later > earlier else 1.0
                return before + share * (after - before)
        return self.cpu


def measure(command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path) -> Cost:
    """Run a command in a session of its own and wait for all that it leaves behind.

    Args:
        log: file that its output goes to
        environment: all of it
        folder: that it runs in

    Raises:
        subprocess.CalledProcessError: it failed; the log says why.
    """
    _adopt_orphans()
    census = _Census()
    awaited_before = _awaited_seconds()
    began, began_at = time.perf_counter(), time.time()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        timeline = []
        try:
            for wall in _until_ended(process, began):
                timeline.append((wall, census.look()))
            wall = time.perf_counter() - began
        finally:
            census.bid_farewell(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, log.read_text(errors="replace")[-4000:])
    return Cost(wall, _awaited_seconds() - awaited_before + census.unawaited_seconds, timeline, began_at)


def _until_ended(process: subprocess.Popen[bytes], began: float) -> Iterator[float]:
    while True:
        try:
            process.wait(LOOK_SECONDS)
            return
        except subprocess.TimeoutExpired:
            yield time.perf_counter() - began


def _adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _awaited_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass
class _Seen:
    """A process of the command while it lives."""

    process: psutil.Process
    own_seconds: float = 0.0
    childrens_seconds: float = 0.0
    """of those that it has awaited"""
    parent: int = 0
    unawaited: bool = False
    """whether its parent would let it end without adding up its time"""


class _Census:
    """Every process that has been started since, and what each has used."""

    def __init__(self) -> None:
        self._this = psutil.Process()
        self._others = {child.pid for child in self._this.children()}
        self._living: dict[int, _Seen] = {}
        self._ended: list[_Seen] = []
        self._ignoring: dict[int, bool] = {}
        self._looks = 0

    def look(self) -> float:
        """Read every living process's time; CPU seconds seen so far."""
        if self._looks % LOOKS_A_CENSUS == 0:
            self._find_new()
        self._looks += 1
        for pid, seen in list(self._living.items()):
            try:
                times = seen.process.cpu_times()
            except psutil.Error:
                self._ended.append(self._living.pop(pid))
                continue
            seen.own_seconds = times.user + times.system
            seen.childrens_seconds = times.children_user + times.children_system
        return sum(seen.own_seconds for seen in (*self._ended, *self._living.values()))

    def _find_new(self) -> None:
        for process in self._this.children(recursive=True):
            if process.pid in self._others:
                continue
            seen = self._living.setdefault(process.pid, _Seen(process))
            try:
                seen.parent = process.ppid()
            except psutil.Error:
                continue
            seen.unawaited = seen.parent != self._this.pid and self._ignores_children(seen.parent)

    def _ignores_children(self, pid: int) -> bool:
        """Whether SIGCHLD is ignored (proc(5), SigIgn); asked again until it is, since a process decides so late."""
        if not self._ignoring.get(pid):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                return False
            mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
            self._ignoring[pid] = bool(int(mask, 16) >> (signal.SIGCHLD - 1) & 1)
        return self._ignoring[pid]

    @property
    def unawaited_seconds(self) -> float:
        """CPU time of ended processes that no parent has added up."""
        return sum(seen.own_seconds + seen.childrens_seconds for seen in self._ended if seen.unawaited)

    def bid_farewell(self, process: subprocess.Popen[bytes]) -> None:
        """Await everything that is left; what does not end by itself is killed."""
        until = time.monotonic() + (FAREWELL_SECONDS if process.poll() == 0 else 0)
        while left := self._left():
            self.look()
            for one in left:
                if time.monotonic() > until:
                    _kill(one)
                self._await(one.pid)
            time.sleep(LOOK_SECONDS)
        self._looks = 0
        self.look()
        process.wait()

    def _left(self) -> list[psutil.Process]:
        return [child for child in self._this.children(recursive=True) if child.pid not in self._others]

    def _await(self, pid: int) -> None:
        """Take the time of a child that has ended; one adopted from a parent that ignored it is counted just once."""
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # another's child
            return
        if ended and (seen := self._living.pop(pid, None)):
            seen.unawaited = False
            self._ended.append(seen)


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
