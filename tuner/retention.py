"""Which checkpoints a search keeps, however many trials it has: those of its best, and of what may go on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tuner.evidence.halted import audited_trials
from tuner.records import Direction, TrialRecord, best_first
from tuner.replay import Replay
from tuner.store import Event, Store


@dataclass(frozen=True)
class Kept:
    """Ids of the trials whose checkpoints a search keeps."""

    best: frozenset[str] = frozenset()
    """with `best.pt`: the model of the best epoch"""
    last: frozenset[str] = frozenset()
    """with `last.pt`: what it takes to train on"""


def checkpoints_to_keep(
    trials: Collection[TrialRecord],
    direction: Direction,
    top_k: int,
    to_audit: int,
    awaited: Collection[str] = (),
) -> Kept:
    """The checkpoints of these trials and reruns that something may yet ask for.

    What has dropped out of the best never returns to them, since a finished trial's value stays: these trials may leave
    out those of which nothing was kept before.

    Args:
        to_audit: how many halted trials may still be drawn to be trained to their end
        awaited: trials that others are to go on from
    """
    own = [trial for trial in trials if trial.rerun is None]
    top = {trial.id for trial in best_first((trial for trial in own if trial.eligible), direction)[:top_k]}
    going_on = {trial.id for trial in trials if trial.unfinished or trial.status == "paused"}
    halted = {trial.id for trial in own if trial.halted_at is not None} if to_audit > 0 else set()
    baseline = {trial.id for trial in own if trial.baseline}
    awaited = {trial.id for trial in own if trial.id in awaited}
    last = frozenset(top | going_on | halted | awaited)
    return Kept(last | baseline, last)


class Retention:
    """Follows a search's log and drops each checkpoint that nothing needs any more."""

    def __init__(self, store: Store, past: Iterable[Event], top_k: int, audit: int) -> None:
        """Drops what earlier runs should have dropped, had they not been killed.

        Args:
            past: the log so far
            top_k: best trials that keep their checkpoints
            audit: halted trials that are to be trained to their end
        """
        self._store = store
        self._top_k = top_k
        self._audit = audit
        self._replay = Replay()
        for event in past:
            self._replay.add(event)
        search = self._replay.record()
        self._direction = search.direction
        self._audited = {trial.id for trial in audited_trials(search)}
        self._holders = {trial.id: trial for trial in (*search.trials, *search.reruns)}
        """trials that keep checkpoints; at first, all that may have some"""
        there = frozenset(store.trials_with_checkpoints())  # also of trials that the log lost in a power cut
        self.kept = Kept(there, there)
        """what is on disk, or may be"""
        store.drop_unfinished()
        self._drop_the_rest()

    def put(self, event: Event) -> None:
        """Take in the log's next event."""
        self._replay.add(event)
        if event["kind"] == "search_started":
            self._direction = event["objective"]["direction"]
        if event["kind"] not in ("trial_started", "trial_resumed", "trial_ended"):
            return
        trial = self._replay.trial(event["trial"])
        if event["kind"] == "trial_started":  # what is there is of a run whose log was lost
            self._store.drop_checkpoint(self._store.best_checkpoint(trial.id))
            self._store.drop_checkpoint(self._store.last_checkpoint(trial.id))
        self._holders[trial.id] = trial
        if trial.audited_at is not None:
            self._audited.add(trial.id)
        self.kept = Kept(self.kept.best | {trial.id}, self.kept.last | {trial.id})
        self._drop_the_rest()

    def _drop_the_rest(self) -> None:
        to_audit = self._audit - len(self._audited)
        held, awaited = self._holders.values(), self._replay.awaited
        kept = checkpoints_to_keep(held, self._direction, self._top_k, to_audit, awaited)
        for trial in self.kept.best - kept.best:
            self._store.drop_checkpoint(self._store.best_checkpoint(trial))
        for trial in self.kept.last - kept.last:
            self._store.drop_checkpoint(self._store.last_checkpoint(trial))
        self.kept = kept
        self._holders = {trial: self._holders[trial] for trial in kept.best}
