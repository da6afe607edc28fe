"""Files written whole or not at all, and how a full disk is told from other errors."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, says that a disk or a person's share of it is full.

    Libraries tell it by errors of their own: torch, for one, by a RuntimeError.
    """
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def told_of_disk(error: BaseException) -> str:
    """What an error says of a full disk, in a line: the file, where it is known, and the system's words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """What to write a file's bytes to: they are on disk before they take the place of what was there.

    A writer that is killed or fails leaves the former file.

    Raises:
        OSError: it cannot be written; on a full disk with the file's name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # a worker that is cut off may go on writing while another one has taken over
    partial = path.with_name(f"{path.stem}.{socket.gethostname()}-{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if is_disk_full(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
