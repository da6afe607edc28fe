"""The rows of a leaderboard: trials and references, and what is said of both alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tuner.evidence.gathering import Evidence
from tuner.records import Reference, SearchRecord, TrialRecord

Entry = TrialRecord | Reference
"""what has a row of its own"""


def shown_entries(search: SearchRecord, top: int | None = None) -> list[Entry]:
    """The first `top` trials of the table, and the baseline and the references in any case."""
    first = {entry.id for entry in trials_of(entries_of(search))[:top]}
    return [
        entry for entry in entries_of(search) if isinstance(entry, Reference) or entry.baseline or entry.id in first
    ]


def entries_of(search: SearchRecord) -> list[Entry]:
    """All rows: by value, a trial before a reference of the same value; then those without one."""
    sign = -1.0 if search.direction == "maximize" else 1.0
    entries: list[Entry] = [*search.ranked(), *search.references]
    entries += [trial for trial in search.trials if trial.best_value is None]

    def place(entry: Entry) -> tuple[bool, float]:
        value = value_of(search, entry)
        return value is None, sign * (value or 0.0)

    return sorted(entries, key=place)


def ended(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those that have come to an end, whether or not a good one, or were halted."""
    return [trial for trial in trials if trial.halted_at or trial.status not in ("waiting", "running", "paused")]


def trials_of(entries: Iterable[Entry]) -> list[TrialRecord]:
    return [entry for entry in entries if isinstance(entry, TrialRecord)]


def name_of(entry: Entry) -> str:
    """What the `trial` column says."""
    return entry.id if isinstance(entry, TrialRecord) else entry.name


def value_of(search: SearchRecord, entry: Entry) -> float | None:
    """The objective of a row."""
    return entry.best_value if isinstance(entry, TrialRecord) else entry.val.get(search.metric)


def val_of(entry: Entry) -> Mapping[str, float]:
    """Its metrics on validation."""
    return entry.best_metrics if isinstance(entry, TrialRecord) else entry.val


def scores_of(search: SearchRecord, entry: Entry, evidence: Evidence | None) -> dict[str, Any]:
    """The objective, its change from the baseline and its interval, as leaderboard.csv names them."""
    value, baseline = value_of(search, entry), search.baseline.best_value if search.baseline else None
    given = isinstance(entry, Reference) and entry.given  # perhaps named like a trial, whose interval is not its own
    interval = evidence.intervals.get(name_of(entry)) if evidence and not given else None
    return {
        "objective": value,
        "delta_baseline": None if value is None or baseline is None else value - baseline,
        "ci_low": interval.low if interval else None,
        "ci_high": interval.high if interval else None,
    }
