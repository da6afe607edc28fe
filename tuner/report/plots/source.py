"""What pictures are made from, and the trials that stand out in all of them."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.store import Store
from tuner.tolerant import mapping

TOP = 5
"""trials that are told apart by colour; more colours would not be"""


@dataclass(frozen=True)
class Source:
    """A search as its plots see it."""

    store: Store
    record: SearchRecord
    evidence: Evidence | None = None


def top_trials(record: SearchRecord) -> list[TrialRecord]:
    """The best finished trials, best first; while none has finished, the best of those that have a value."""
    ranked = record.ranked()
    return ([trial for trial in ranked if trial.eligible] or ranked)[:TOP]


def places(record: SearchRecord) -> dict[str, int]:
    """Trial id -> place from 1, of the top trials; it is their colour as well."""
    return {trial.id: place for place, trial in enumerate(top_trials(record), start=1)}


def settings(trial: TrialRecord) -> str:
    """A trial's config in a few words: `lite0, freeze 75% (6/9), mlp 256`."""
    config = trial.config
    frozen = table.freeze(config.get("freeze"), trial.freeze_blocks, trial.total_blocks)
    head = {name: value for name, value in mapping(config.get("head")).items() if name in ("kind", "width")}
    parts = [table.short(config.get("backbone")), f"freeze {frozen}" if frozen else "", table.head(head)]
    return ", ".join(part for part in parts if part)
