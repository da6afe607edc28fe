"""Folders that are there whole or not at all, and never twice."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainable.errors import UserError


@contextmanager
def new_folder(place: Path, remedy: str) -> Iterator[Path]:
    """A folder to fill, which becomes `place` if the block ends well; else nothing of it stays.

    Raises:
        UserError: `place` exists (`remedy` says what to do then), or cannot be made.
    """
    if place.exists():
        raise UserError(f"{place}: exists, and nothing is overwritten; {remedy}")
    beside = next(folder for folder in place.absolute().parents if folder.exists())
    unfinished = beside / f".{place.name}.{os.getpid()}.partial"
    try:
        try:
            unfinished.mkdir()
        except OSError as error:
            raise UserError(f"{place}: cannot be made ({error.strerror}); give another place") from None
        yield unfinished
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
