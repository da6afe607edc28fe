"""The command line in processes of its own, for what needs torch or may take memory and time: few at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuner.service.errors import TooManyError

TUNER = (sys.executable, "-m", "tuner.cli")
_NICER = 5
"""than searches that run beside it"""


@dataclass(frozen=True)
class Ended:
    """How a command has ended."""

    code: int | None
    """None: it took too long"""
    out: str
    err: str

    @property
    def mistakes(self) -> list[str]:
        """What it said on stderr, a line each."""
        lines = [line.removeprefix("error: ") for line in self.err.splitlines() if line.strip()]
        return lines or [f"the command ended with {self.code}"]


class Commands:
    """Runs commands one after another, so many at once; who comes when too many wait is sent away."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._asked = 0

    async def run(self, command: Sequence[str], folder: Path, limit_seconds: float) -> Ended:
        """Run one in a folder, and end it with all that it started when it takes longer.

        Raises:
            TooManyError: too many are waited for already.
        """
        if self._asked >= self._most:
            raise TooManyError("too many plans and checks are being made: try again soon", wait_seconds=10)
        self._asked += 1
        try:
            async with self._turns:
                return await run_command(command, folder, limit_seconds)
        finally:
            self._asked -= 1


async def run_command(command: Sequence[str], folder: Path, limit_seconds: float) -> Ended:
    """Run a command in a folder, in a session of its own, and end it with all that it started when it takes longer."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICER)
    try:
        out, err = await asyncio.wait_for(process.communicate(), limit_seconds)
    except TimeoutError:
        return Ended(None, "", f"took more than {limit_seconds:g} s")
    finally:
        if process.returncode is None:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Ended(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
