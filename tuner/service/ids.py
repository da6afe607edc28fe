"""Ids that sort by when they were made."""

from __future__ import annotations

import secrets
import time

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, which has no letters that are taken for digits"""
_TIME_LENGTH, _RANDOM_LENGTH = 10, 16


def new_id() -> str:
    """26 letters and digits: milliseconds since 1970, then 80 random bits (as a ULID, in lower case)."""
    milliseconds = time.time_ns() // 1_000_000
    return _in_base_32(milliseconds, _TIME_LENGTH) + _in_base_32(secrets.randbits(80), _RANDOM_LENGTH)


def _in_base_32(number: int, length: int) -> str:
    return "".join(_DIGITS[number >> (5 * place) & 31] for place in reversed(range(length)))
