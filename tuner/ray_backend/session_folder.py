"""The folder of a driver's own Ray: gone with it, or, where it was killed, with the next driver of this user."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "thaw-"
_LOCK = "driver.lock"


@contextmanager
def session_folder() -> Iterator[Path]:
    """A new folder with a short path, since sockets lie in it. Those of drivers that were killed are removed.

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
            shutil.rmtree(found.parent, ignore_errors=True)
