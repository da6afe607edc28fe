"""The time that a search has taken, over all its runs, as its log tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuner.records import SearchRecord
from tuner.tolerant import mapping, number, text

NEARLY = 0.9
"""the share of a budget that is spent when people are told of it"""


@dataclass(frozen=True)
class Spent:
    """Of what a search was granted last."""

    hours: float = 0.0
    """of each run from its start to its last event"""
    gpu_hours: float = 0.0
    """of each trial from its start to its last epoch, times its GPUs"""


NOTHING_SPENT = Spent()


def time_spent(events: Iterable[Mapping[str, Any]]) -> Spent:
    """What a search has taken, by its log; a run that was killed counts to the last that it told."""
    count = _Count()
    for event in events:
        count.add(event)
    return Spent(count.seconds / 3600, count.gpu_seconds / 3600)


class _Count:
    def __init__(self) -> None:
        self.seconds = self.gpu_seconds = 0.0
        self._told_at: float | None = None
        """the run's last event; None: none runs"""
        self._trials_at: dict[str, float] = {}
        """trial -> its last event in this run"""

    def add(self, event: Mapping[str, Any]) -> None:
        kind, trial, now = event.get("kind"), text(event.get("trial")), told_at(event)
        if now is None:
            return
        if kind in ("search_started", "search_resumed"):
            self._begin_run(mapping(event.get("granted")))
        elif self._told_at is None or kind == "retrained":  # which is told by another process
            return
        else:
            self.seconds += max(0.0, now - self._told_at)  # clocks are set back
        self._told_at = None if kind == "search_ended" else now
        if kind == "epoch":
            gpus = number(event.get("gpus")) or 0.0
            self.gpu_seconds += gpus * max(0.0, now - self._trials_at.get(trial, now))
        if trial:
            self._trials_at[trial] = now

    def _begin_run(self, granted: Mapping[str, Any]) -> None:
        self._trials_at.clear()
        self.seconds = 0.0 if "hours" in granted else self.seconds
        self.gpu_seconds = 0.0 if "gpu_hours" in granted else self.gpu_seconds


class Elapsed:
    """The time that a search has run, over all its runs, as its log grows."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._told_at: float | None = None
        """the latest event"""

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in the next event of the log."""
        now = told_at(event)
        if now is None:
            return
        if self._told_at is not None and event.get("kind") != "search_resumed":
            self.seconds += max(0.0, now - self._told_at)  # clocks are set back
        self._told_at = now


def seconds_left(search: SearchRecord, elapsed_seconds: float) -> float | None:
    """How long a search may still take, by its pace so far; None where that cannot be said."""
    ended = [trial for trial in search.trials if trial.status != "running"]
    yet = (search.budget or 0) - len(ended)
    may_go_on = any(trial.status == "paused" for trial in ended)
    if not elapsed_seconds or not ended or yet <= 0 or may_go_on:
        return None
    return elapsed_seconds / len(ended) * yet


def told_at(event: Mapping[str, Any]) -> float | None:
    """When an event was written, in seconds since 1970; None: it does not say."""
    try:
        return datetime.fromisoformat(text(event.get("time"))).timestamp()
    except ValueError:
        return None
