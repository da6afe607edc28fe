"""This machine's cache: where it lies, how much it may hold, and what goes first when it is full.

Decoded images (data/prepared.py) and features of frozen blocks (prefix/store.py) share one limit. Features go before
images, since they are made of them; among features those go first that cost least to compute again.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainable.errors import UserError

GIB = 1024**3
IMAGES, FEATURES = "images", "features"
"""folders of the cache; each holds a folder an entry"""
COST, USED = "key.json", "done"
"""files of an entry of features: one says how many `seconds_per_byte` it took, the other's change is its last use"""
HALF_LIFE_SECONDS = 24 * 3600
"""after so long without use, features are worth half"""
BEGINNING_SECONDS = 3600
"""an entry that says nothing yet is left alone for so long"""


def cache_folder() -> Path:
    """Where this machine keeps decoded images and features: `THAW_CACHE`, or the user's cache folder."""
    if given := os.environ.get("THAW_CACHE"):
        return Path(given).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("thaw"))


def cache_limit_bytes() -> int:
    """How much the cache may hold: `THAW_CACHE_GIB`, 50 by default. Raises UserError for anything but a number > 0."""
    given = os.environ.get("THAW_CACHE_GIB", "50")
    try:
        limit_gib = float(given)
    except ValueError:
        limit_gib = 0.0
    if not limit_gib > 0:
        raise UserError(f"THAW_CACHE_GIB={given!r}: the cache's limit is a number of GiB above 0, such as 50")
    return int(min(limit_gib, 2**33) * GIB)


def held_bytes(entry: Path) -> int:
    """What an entry takes, or will once it is filled; 0 where another process has just dropped it."""
    try:
        return sum(file.stat().st_size for file in entry.iterdir())
    except FileNotFoundError:
        return 0


def excess_bytes(cache: Path, needed_bytes: int) -> int:
    """By how much the cache would exceed its limit if it had to hold so much more."""
    held = sum(held_bytes(entry) for kind in (IMAGES, FEATURES) for entry in (cache / kind).glob("*/"))
    return max(0, held + needed_bytes - cache_limit_bytes())


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Be the only process that makes room for features: what one reserves, another must see."""
    with (cache / f"{FEATURES}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def drop_features(cache: Path, excess: int, *, worth_less_than: float = math.inf) -> bool:
    """Drop features until so many bytes are free, the least valuable first; none where that would not suffice.

    Args:
        worth_less_than: what is worth this or more stays; see `worth`.
    """
    found = sorted((worth(entry), entry) for entry in (cache / FEATURES).glob("*/"))
    droppable = [(entry, held_bytes(entry)) for value, entry in found if value < worth_less_than]
    if sum(held for _, held in droppable) < excess:
        return False
    for entry, held in droppable:
        if excess <= 0:
            break
        drop_entry(entry)
        excess -= held
    return True


def worth(entry: Path) -> float:
    """Seconds that a byte of features takes to compute again, less the longer it has not been used."""
    unused_seconds = math.inf
    if entry.name.startswith("."):  # whoever was dropping it was killed
        return 0.0
    try:
        unused_seconds = max(0.0, time.time() - (entry / USED).stat().st_mtime)
        seconds_per_byte = float(json.loads((entry / COST).read_text(encoding="utf-8"))["seconds_per_byte"])
    except FileNotFoundError:  # its builder has yet to say, unless it was killed before
        return math.inf if unused_seconds < BEGINNING_SECONDS else 0.0
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    return float(seconds_per_byte * 0.5 ** (unused_seconds / HALF_LIFE_SECONDS))


def drop_entry(entry: Path) -> None:
    """Remove an entry at once: whoever has it open goes on reading, and nobody opens it half deleted."""
    doomed = entry.parent / f".{uuid.uuid4().hex}"
    try:
        entry.rename(doomed)
    except OSError:  # another process was first
        return
    shutil.rmtree(doomed, ignore_errors=True)
