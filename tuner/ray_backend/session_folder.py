"""The folder of a driver's own Ray: gone with it, or, where it was killed, with the next driver of this user."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX = "thaw-"
_LOCK = "driver.lock"
_AGENTS = "ray::"
"""how their names begin"""


@contextmanager
def session_folder() -> Iterator[Path]:
    """A new folder with a short path, since sockets lie in it. Those of drivers that were killed are removed, with
    what is left of their Rays.

    A driver holds the lock of a file in its folder, which the operating system lets go of when its process ends,
    however it does. A process's number would not do: numbers are used again, and containers that share the folder for
    temporary files have numbers of their own.
    """
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    unlocked = folder / ".driver.lock"
    with unlocked.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unlocked.rename(folder / _LOCK)  # only now can it be found by those who look for folders without a driver
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned() -> None:
    for found in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_LOCK}"):
        # another user's, one that is held, or one that has just gone
        with suppress(OSError), found.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end_agents(found.parent.resolve())
            shutil.rmtree(found.parent, ignore_errors=True)


def _end_agents(folder: Path) -> None:
    """Kill what a killed driver's Ray has left: its agents try for a minute to tell it that they end.

    They write over their command lines and environments; the logs that they have open tell whose they are.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name().startswith(_AGENTS) and any(
                Path(file.path).is_relative_to(folder) for file in process.open_files()
            ):
                process.kill()
