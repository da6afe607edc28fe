"""How the trials of a search went, in plain words: overfitting, epochs, endings, and whether test agrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuner.conclusions.curves import OnTest, best_epochs, endings, overfitting, scored_on_test
from tuner.records import SearchRecord
from tuner.report import table

if TYPE_CHECKING:
    from tuner.evidence.gathering import Evidence, Interval

_MANY = 0.5
"""share of the trials from which on they say something about the search"""
_MOST_TRIALS = 5
"""that one line names"""


def training_lines(record: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    """One line a finding; none for what did not happen."""
    yield from _overfitting_lines(record)
    yield from _epochs_lines(record)
    yield from _test_lines(record, evidence)
    yield from _endings_lines(record)


def _overfitting_lines(record: SearchRecord) -> Iterator[str]:
    found = overfitting(record)
    if found is None or not found.trials:
        return
    line = (
        f"Overfitting: in {found.trials} of {found.looked_at} trials validation loss rises after epoch "
        f"{found.since:g} (median) while training loss goes on falling"
    )
    if found.trials < _MANY * found.looked_at:
        yield line
    elif record.metric == "loss" or found.best_epoch <= found.since:
        yield f"{line}; fewer epochs would do"
    else:
        yield f"{line}, though {table.escape(record.metric)} is best only at epoch {found.best_epoch:g} (median)"


def _epochs_lines(record: SearchRecord) -> Iterator[str]:
    found = best_epochs(record)
    if found is None:
        return
    whole = f"of {found.trials} trials that trained for all their epochs"
    if found.at_the_end >= _MANY * found.trials:
        yield f"{found.at_the_end} {whole} were best at the last one: more epochs may help"
    elif found.early >= _MANY * found.trials:
        yield f"{found.early} {whole} were best in the first half of them: fewer epochs would do"


def _test_lines(record: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    found = scored_on_test(record)
    if not found:
        return
    intervals = evidence.intervals if evidence else {}
    known = [(trial, intervals[trial.trial]) for trial in found if trial.trial in intervals]
    if not known:
        mean = sum(trial.test - trial.val for trial in found) / len(found)
        yield f"Test minus validation: {mean:+.3f} on average over {len(found)} trials scored on test, no interval"
        return
    outside = [(trial, interval) for trial, interval in known if not interval.low <= trial.test <= interval.high]
    agree = f"Test agrees with validation in {len(known) - len(outside)} of {len(known)} trials scored on it"
    if not outside:
        yield f"{agree}: its {table.escape(record.metric)} lies in the 95 % interval of validation"
        return
    told = "; ".join(_outside(trial, interval) for trial, interval in outside[:_MOST_TRIALS])
    yield f"{agree}; outside the 95 % interval of validation: {told}" + "; ..." * (len(outside) > _MOST_TRIALS)


def _outside(trial: OnTest, interval: Interval) -> str:
    return (
        f"{table.escape(trial.trial)} {trial.test:.3f} on test, {trial.val:.3f} "
        f"[{interval.low:.3f}, {interval.high:.3f}] on validation"
    )


def _endings_lines(record: SearchRecord) -> Iterator[str]:
    found = endings(record)
    if set(found) <= {"complete"}:
        return
    told = [f"{len(trials)} {_ENDINGS.get(status, status)}" for status, trials in found.items()]
    diverged = found.get("diverged", [])
    named = ", ".join(map(table.escape, diverged[:_MOST_TRIALS])) + ", ..." * (len(diverged) > _MOST_TRIALS)
    of = f"Of {len(record.trials)} trials" if len(record.trials) > 1 else "Of one trial"
    yield f"{of}: {', '.join(told)}" + (f" ({named})" if diverged else "")


_ENDINGS = {
    "complete": "trained for all their epochs",
    "early_stopped": "ended by patience",
    "pruned": "stopped early for doing worse than others",
    "halted": "paused early for doing worse than others",
    "diverged": "diverged",
}
