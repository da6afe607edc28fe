"""What kills have cost a search, by its event log and the checkpoints at each kill."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from trainable.checkpoint import load_checkpoint
from trainable.errors import UserError
from tuner.records import SearchRecord, TrialRecord
from tuner.replay import replay
from tuner.store import Event, Store

ENDED = ("complete", "early_stopped", "pruned", "failed")
"""statuses of trials that are never to run again"""
MAY_REPEAT_SECONDS = 30.0
"""of training, or an epoch where that is longer"""
COMPARED = ("epoch", "step", "value", "best_value", "best_epoch", "val", "train_loss", "train_loss_weighted", "lr")
"""of an epoch; the rest is measured, and so never the same"""

Outcome = tuple[Any, ...]


@dataclass(frozen=True)
class Repeated:
    """Training that a trial has to do again."""

    epochs: float
    """whole ones that were told"""
    seconds: float
    """of those, and since the last one was told"""
    longest_epoch: float
    """in seconds"""

    @property
    def too_much(self) -> bool:
        return self.epochs > 0 and self.seconds > max(MAY_REPEAT_SECONDS, self.longest_epoch)


@dataclass(frozen=True)
class Standing:
    """A search at a kill."""

    kind: str
    events: int
    """in its log"""
    ended: Mapping[str, Outcome]
    at_risk: Mapping[str, Repeated]
    """of each trial that runs, if it was hit"""


def standing_of(store: Store, kind: str) -> Standing:
    """Where a search stands right after a kill."""
    events, now = list(store.events()), datetime.now(UTC)
    trials = replay(events).trials
    return Standing(
        kind,
        len(events),
        {trial.id: outcome(trial) for trial in trials if trial.status in ENDED},
        {trial.id: _at_risk(store, trial, now) for trial in trials if trial.status == "running" and trial.epochs},
    )


def _at_risk(store: Store, trial: TrialRecord, now: datetime) -> Repeated:
    saved: Mapping[str, Any] = {"epoch": 0, "seconds": 0.0}
    with suppress(UserError):  # there is none yet
        saved = load_checkpoint(store.last_checkpoint(trial.id))
    ends = [0.0, *(epoch.seconds or 0.0 for epoch in trial.epochs)]
    in_flight = (now - datetime.fromisoformat(trial.epochs[-1].time)).total_seconds() if trial.epochs else 0.0
    return Repeated(
        max(0.0, trial.epochs_run - saved["epoch"]),
        max(0.0, ends[-1] - saved["seconds"]) + in_flight,
        max(later - earlier for earlier, later in pairwise(ends)),
    )


def repeats(kills: Sequence[Standing], events: Sequence[Event]) -> Iterator[tuple[str, Repeated]]:
    """Of each kill and trial that it hit: the kind, and what was trained again."""
    begin = [*(kill.events for kill in kills), len(events)]
    for kill, (first, following) in zip(kills, pairwise(begin), strict=True):
        # a driver whose Ray is gone pauses what ran: that is not yet how it went on
        told = [event for event in events[first:following] if event.get("status") not in ("paused", "lost")]
        next_of = {event["trial"]: event for event in reversed(told) if "trial" in event}
        for trial, repeated in kill.at_risk.items():
            if next_of.get(trial, {}).get("kind") == "trial_resumed":
                yield kill.kind, repeated


def outcome(trial: TrialRecord) -> Outcome:
    """What a trial came to, but for what is measured."""
    epochs = [tuple(getattr(epoch, name) for name in COMPARED) for epoch in trial.epochs]
    return trial.status, dict(trial.config), epochs


def lost(kills: Sequence[Standing], search: SearchRecord) -> set[str]:
    """Trials that had ended at a kill and are gone, or are not what they were."""
    now = {trial.id: outcome(trial) for trial in search.trials}
    return {id for kill in kills for id, before in kill.ended.items() if now.get(id) != before}


def run_again(events: Sequence[Event]) -> list[str]:
    """Trials of which more is told after their end."""
    ended: set[str] = set()
    again = []
    for event in events:
        if event["kind"] in ("trial_started", "trial_resumed", "epoch") and event["trial"] in ended:
            again.append(event["trial"])
        if event["kind"] == "trial_ended" and event["status"] in ENDED:
            ended.add(event["trial"])
    return again


def duplicates(store: Store) -> list[str]:
    """Trials that begin twice, or have two rows in the table."""
    begun = Counter(event["trial"] for event in store.events() if event["kind"] == "trial_started")
    with store.leaderboard_csv.open(newline="") as file:
        rows = Counter(row["trial"] for row in csv.DictReader(file))
    return sorted({trial for count in (begun, rows) for trial, times in count.items() if times > 1})


def differing(expected: SearchRecord, found: SearchRecord) -> list[str]:
    """Sampled values of trials that only one of two searches has, or that came to something else."""
    one, other = (
        {repr(sorted(trial.params.items())): outcome(trial) for trial in search.trials} for search in (expected, found)
    )
    return sorted(params for params in one.keys() | other.keys() if one.get(params) != other.get(params))
