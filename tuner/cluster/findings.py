"""What is wrong in a cluster's file, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainable.errors import nearest

Path = tuple[str | int, ...]
"""keys and places in lists, from the top of a file"""

Finding = tuple[Path, str]
"""a place and what is wrong there"""


def unknown(path: Path, given: Iterable[str], known: Iterable[str]) -> Iterator[Finding]:
    """Names that do not exist."""
    names = list(known)
    yield from (((*path, name), f"does not exist{nearest(name, names)}") for name in given if name not in names)


def misspelt(path: Path, given: Iterable[str], known: Iterable[str]) -> Iterator[Finding]:
    """As `unknown`, but for lists of names that may not be complete: only those that are nearly one of them."""
    yield from (finding for finding in unknown(path, given, known) if "did you mean" in finding[1])
