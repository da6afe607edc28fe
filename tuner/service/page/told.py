"""Times and counts as people read them."""

from __future__ import annotations

from tuner.live import duration as duration

_TEENS = (11, 12, 13)


def when(time: str) -> str:
    """`2026-11-23 08:30` of an RFC 3339 time; empty for none."""
    return time[:16].replace("T", " ")


def ordinal(number: int) -> str:
    """`1st`, `12th`, `22nd`."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in _TEENS else ending}"


def counted(number: float, one: str, several: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number:g} {one if number == 1 else several}"


def percent(part: float, whole: float | None) -> int:
    """Rounded down, so that only what is whole is told as such."""
    return int(100 * min(max(part / whole, 0.0), 1.0)) if whole else 0
