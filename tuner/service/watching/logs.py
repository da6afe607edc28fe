"""What the processes of a search have printed, one after another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tuner.service.database.rows import SearchRow
from tuner.service.settings import ServiceSettings

PART_BYTES = 256 << 10
"""the most that is told at once"""
_LONGEST_LETTER = 4
"""bytes, in UTF-8"""


@dataclass(frozen=True)
class Part:
    """Some of it."""

    text: str
    next: int
    """bytes from the beginning, where what follows begins"""
    size: int
    """of all"""


def log_of(settings: ServiceSettings, row: SearchRow) -> Path:
    """The file that a search's processes print into."""
    return settings.drivers / f"{row.id}.log"


def read_part(log: Path, after: int, most_bytes: int = PART_BYTES, trial: str | None = None) -> Part:
    """What was printed after so many bytes; nothing where nothing is.

    Args:
        trial: only lines that name it
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            start = min(after, size)
            file.seek(start)
            found = file.read(most_bytes)
    except OSError:
        return Part("", after, 0)
    whole = _whole_letters(found)
    text = whole.decode("utf-8", "replace")
    if trial is not None:
        named = re.compile(rf"(?<![\w-]){re.escape(trial)}(?![\w-])")
        text = "".join(line for line in text.splitlines(keepends=True) if named.search(line))
    return Part(text, start + len(whole), size)


def read_end(log: Path, most_bytes: int) -> Part:
    """The last of it, from the beginning of a line."""
    try:
        size = log.stat().st_size
    except OSError:
        return Part("", 0, 0)
    part = read_part(log, max(0, size - most_bytes), most_bytes)
    is_all = size <= most_bytes
    return part if is_all else Part(part.text.partition("\n")[2], part.next, part.size)


def _whole_letters(found: bytes) -> bytes:
    """Without the beginning of a letter whose rest is not there yet."""
    for cut in range(1, min(_LONGEST_LETTER, len(found)) + 1):
        byte = found[-cut]
        if byte & 0xC0 == 0x80:
            continue
        length = 1 if byte < 0x80 else 2 if byte >> 5 == 6 else 3 if byte >> 4 == 14 else 4 if byte >> 3 == 30 else 1
        return found[:-cut] if length > cut else found
    return found
