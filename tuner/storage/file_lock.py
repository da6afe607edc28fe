"""The operating system's lock on a folder: it goes with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.storage.home import being_run

_FILE = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have the lock. Raises UserError where another process has it; names its number and host."""
    with (folder / _FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise being_run(folder.resolve().name, _told(folder)) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def locker(folder: Path) -> str | None:
    """The process that has the lock; None: there is none."""
    try:
        with (folder / _FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(folder)
    except FileNotFoundError:
        return None
    return None


def _told(folder: Path) -> str:
    try:
        return (folder / _FILE).read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"
