"""The right to write to a search whose truth is objects: a lock that lapses when its holder is not heard of any more.

Whoever made the highest-numbered lock object holds it. A number is made once (create if absent), so of two takers one
wins. The holder writes its object anew all the while; it lapses STALE_SECONDS after the last time, by the store's own
clock, and the holder stops writing by its own clock before that (leases as in Gray and Cheriton, "Leases: an efficient
fault-tolerant mechanism for distributed file cache consistency", 1989).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tuner.processes import this_machine
from tuner.storage.home import told_of_process
from tuner.storage.objects import Found, Objects, StorageError
from tuner.tolerant import integer, mapping, text

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
_LOCK = "lock"
_CLOCK = f"{_LOCK}/clock"
_NUMBERED = re.compile(rf"{_LOCK}/(\d+)\.json")


@dataclass(frozen=True)
class Holder:
    """Whose the highest-numbered lock object is."""

    number: int
    process: str
    """as `told_of_process`"""
    is_alive: bool
    """it was heard of lately, has not given the lock back, and is not known to be dead"""
    silent_seconds: float


class LostLeaseError(StorageError):
    """Another process has taken over: nothing more may be written."""


def holder_of(objects: Objects) -> Holder | None:
    """Who has the lock, or had it last; None where nobody ever has."""
    while True:
        found, now = _listed_with_time(objects)
        number = _highest(found)
        if number is None:
            return None
        try:
            told = mapping(json.loads(objects.get(_name(number))))
        except FileNotFoundError:  # taken over since
            continue
        except ValueError:
            told = {}
        silent = now - found[_name(number)].modified
        is_alive = not told.get("given_back") and silent < STALE_SECONDS and not _is_dead_here(told)
        named = integer(told.get("process")) or "?", text(told.get("host")) or "?", text(told.get("work"))
        return Holder(number, told_of_process(*named), is_alive, silent)


class Lease:
    """This process's hold on the lock, kept up by a thread until it is given back."""

    def __init__(self, objects: Objects, work: str = "") -> None:
        """`work` as `Home.hold`"""
        self._objects = objects
        self._work = work
        self._number = 0
        self._id = uuid.uuid4().hex
        self._renewing = threading.Lock()
        self._renewed_at = 0.0
        self._lost = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="lease", daemon=True)

    def take(self) -> Holder | None:
        """Have the lock; else who has it."""
        holder = holder_of(self._objects)
        if holder and holder.is_alive:
            return holder
        self._number = holder.number + 1 if holder else 1
        self._renewed_at = _now_seconds()
        won = self._objects.create(_name(self._number), self._content())
        found = self._objects.listed(_LOCK)
        if not won or _highest(found) != self._number:
            if won:  # others came and went since the holder was read
                self._objects.remove([_name(self._number)])
            unknown = Holder(self._number, "another process", is_alive=True, silent_seconds=0)
            return holder_of(self._objects) or unknown
        self._objects.remove(name for name in found if name not in (_name(self._number), _CLOCK))
        self._thread.start()
        return None

    def give_back(self) -> None:
        """Let others have it at once; where that cannot be said, it lapses by itself."""
        self._done.set()
        self._thread.join()
        if self._lost:
            return
        with contextlib.suppress(StorageError, FileNotFoundError):
            replace(self._objects, patience_seconds=0).put(_name(self._number), self._content(given_back=True))

    def require(self) -> None:
        """Make sure that nobody else can have taken over.

        Raises:
            LostLeaseError: somebody has.
            StorageError: that cannot be found out.
        """
        if not self._lost and _now_seconds() - self._renewed_at > STALE_SECONDS - HEARTBEAT_SECONDS:
            self._renew(self._objects)
        if self._lost:
            raise LostLeaseError(
                f"{self._objects.url}: {self._lost} has taken over this search, since nothing was heard of this "
                "process; it has stopped writing"
            )

    def _keep_up(self) -> None:
        at_once = replace(self._objects, patience_seconds=0)  # the next beat is the next try
        while not self._done.wait(HEARTBEAT_SECONDS) and not self._lost:
            try:
                self._renew(at_once)
            except (StorageError, FileNotFoundError):  # told when something is to be written
                continue

    def _renew(self, objects: Objects) -> None:
        with self._renewing:
            began = _now_seconds()
            if _highest(objects.listed(_LOCK)) != self._number:
                holder = holder_of(objects)
                self._lost = holder.process if holder else "somebody"
                return
            objects.put(_name(self._number), self._content())
            self._renewed_at = began

    def _content(self, *, given_back: bool = False) -> bytes:
        told = {"process": os.getpid(), "host": socket.gethostname(), "processes": this_machine(), "id": self._id}
        return json.dumps({**told, "work": self._work, "given_back": given_back}).encode()


def _name(number: int) -> str:
    return f"{_LOCK}/{number:08}.json"


def _highest(names: Mapping[str, Found]) -> int | None:
    return max((int(match.group(1)) for name in names if (match := _NUMBERED.fullmatch(name))), default=None)


def _listed_with_time(objects: Objects) -> tuple[dict[str, Found], float]:
    """The lock's objects, and the store's time in seconds since 1970; this machine's for who may only read."""
    try:
        objects.put(_CLOCK, b"")
    except StorageError:
        return objects.listed(_LOCK), time.time()
    found = objects.listed(_LOCK)
    return found, found[_CLOCK].modified


def _now_seconds() -> float:
    """A clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _is_dead_here(told: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this machine, and there is none of its number any more."""
    number = integer(told.get("process"))
    if not number or not this_machine() or told.get("processes") != this_machine():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
