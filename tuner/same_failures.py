"""A search whose trials fail of one thing stops, instead of going through them all."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from tuner.interruption import Interruption
from tuner.records import BASELINE
from tuner.store import Event

_VARIES = (
    (re.compile(r"['\"]?(?:[A-Za-z]:)?(?:[\w.~+-]*[/\\])+[\w.+-]*['\"]?"), "PATH"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "N"),
    (re.compile(r"\bt\d{4,}\b"), "TRIAL"),
    (re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"), "N"),
)
"""what differs between two tellings of one error: file names, addresses, trials and amounts"""


def kind_of_error(error: str) -> str:
    """An error without what differs from trial to trial."""
    for varying, instead in _VARIES:
        error = varying.sub(instead, error)
    return " ".join(error.split())


class SameFailures:
    """Hears a search's events, and ends it in order when more than so many of its trials failed with one error.

    The baseline is enough by itself, since everything is held against it.
    """

    def __init__(self, limit: int, interrupted: Interruption) -> None:
        self._limit = limit
        self._interrupted = interrupted
        self._trials: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """kind of error -> trials, in order"""

    @property
    def alike(self) -> list[str]:
        """Trials that failed of what stops a search, and are worth another try once it is repaired."""
        kinds = self._trials.values()
        return [trial for failed in kinds if BASELINE in failed or len(failed) > self._limit for trial in failed]

    def put(self, event: Event) -> None:
        """Take in an event of this run; those of earlier ones do not count, since something was repaired."""
        if event["kind"] != "trial_ended" or event.get("status") not in ("failed", "lost"):
            return
        trial, error = event["trial"], event.get("error") or "no reason is known"
        failed = self._trials[kind_of_error(error)]
        failed[trial] = None
        if trial == BASELINE:
            self._interrupted.fail(f"the baseline, which all is held against, has failed: {error}")
        elif len(failed) > self._limit:
            self._interrupted.fail(f"{len(failed)} trials have failed with the same error: {error}")


def failed_alike(events: Iterable[Event], limit: int) -> list[str]:
    """Trials that failed of what stopped the last run of a log, or would have stopped it, had it not been killed."""
    failures = SameFailures(limit, Interruption())
    for event in events:
        if event.get("kind") in ("search_started", "search_resumed"):
            failures = SameFailures(limit, Interruption())
        failures.put(event)
    return failures.alike
