"""Processes that are known by more than a number, which is given again to others."""

from __future__ import annotations

import os
import signal as signals
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from tuner.tolerant import integer, text


@dataclass(frozen=True)
class ProcessId:
    """One process of one boot of a machine."""

    number: int
    started: str
    """when, in the machine's own measure"""
    machine: str
    """as `this_machine`"""

    @property
    def plain(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @property
    def lives(self) -> bool:
        """Whether it is there, and is no zombie."""
        return bool(self.started) and self.machine == this_machine() and _started(self.number) == self.started

    def end(self, signal: signals.Signals, *, group: bool = False) -> None:
        """Send it a signal, or its whole group if it leads one; nothing where it is gone or its number is another's."""
        with suppress(ProcessLookupError, PermissionError):
            if self.lives:
                leads = group and os.getpgid(self.number) == self.number
                (os.killpg if leads else os.kill)(self.number, signal)


def process_id(number: int) -> ProcessId | None:
    """A process that runs now; None: there is none of this number."""
    started = _started(number)
    return ProcessId(number, started, this_machine()) if started else None


def stored_process_id(stored: Mapping[str, Any]) -> ProcessId:
    """One that was stored as `plain`; of what is no such thing no process lives."""
    number, started, machine = integer(stored.get("number")), text(stored.get("started")), text(stored.get("machine"))
    return ProcessId(number or 0, started, machine)


def this_machine() -> str:
    """Where processes' numbers mean the same: one boot of a machine, one container; empty: unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(number: int) -> str:
    """When a process began, which clocks that are set do not change; empty: it is gone, or a zombie."""
    if not number:
        return ""
    try:
        # after the name, which may hold anything: the state, and as the 20th the ticks since boot (proc(5))
        facts = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if facts[0] in "ZX" else facts[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    try:
        process = psutil.Process(number)
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return ""
