"""Mistakes people make, said in one line each; everything else is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """One or more mistakes in what a user gave: each line says what was given, the rule and the remedy."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class UnreachableTrackerError(UserError):
    """Tracking was demanded, and what it sends to does not answer."""


class DivergedError(Exception):
    """The loss is no longer a number: a bad config, not a fault."""


def nearest(given: str, valid: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the valid name closest to a mistyped one, or an empty string."""
    close = difflib.get_close_matches(given, list(valid), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
