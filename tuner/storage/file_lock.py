"""The operating system's lock on a folder: it goes with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from trainable.errors import UserError
from tuner.storage.home import being_run, told_of_process

_FILE = "lock"
_PATIENCE_SECONDS = 0.5
"""that a writer waits for those who only look, each of whom has the lock for an instant"""


@contextmanager
def locked(folder: Path, work: str = "") -> Iterator[None]:
    """Have the lock; `work` as `Home.hold`.

    Raises:
        UserError: another process has it, which is named with its number and host; or the folder cannot be locked.
    """
    with (folder / _FILE).open("a+", encoding="utf-8") as file:
        try:
            _lock_soon(file, folder)
        except BlockingIOError:
            raise being_run(folder.resolve().name, _told(folder)) from None
        file.truncate(0)
        file.write(told_of_process(os.getpid(), socket.gethostname(), work) + "\n")
        file.flush()
        yield


def locker(folder: Path) -> str | None:
    """The process that has the lock; None: there is none. Raises UserError where the folder cannot be locked."""
    try:
        with (folder / _FILE).open("rb") as file:
            _try_lock(file, fcntl.LOCK_SH, folder)
    except BlockingIOError:
        return _told(folder)
    except FileNotFoundError:
        return None
    return None


def _lock_soon(file: IO[Any], folder: Path) -> None:
    """Raises BlockingIOError where another process keeps the lock."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _try_lock(file, fcntl.LOCK_EX, folder)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        time.sleep(_PATIENCE_SECONDS / 20)


def _try_lock(file: IO[Any], how: int, folder: Path) -> None:
    """Raises BlockingIOError where another process has it."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:  # NFS without its lock service, Lustre mounted without flock
        raise UserError(
            f"search folder {str(folder)!r} is on a file system that locks no files ({error.strerror}), so that two "
            "processes could write to it; mount it with locks, or give another place with --results"
        ) from None


def _told(folder: Path) -> str:
    try:
        return (folder / _FILE).read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"
