"""How the trials of a search went, in plain words: overfitting, epochs, endings, and whether test agrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuner.conclusions.curves import OnTest, best_epochs, endings, overfitting, scored_on_test
from tuner.records import SearchRecord
from tuner.report import table
from tuner.wording.language import marked

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
    line = record.say(
        "Overfitting: in {count} of {trials} trials validation loss rises after epoch {epoch:g} (median) while "
        "training loss goes on falling",
        count=found.trials,
        trials=found.looked_at,
        epoch=found.since,
    )
    if found.trials < _MANY * found.looked_at:
        yield line
    elif record.metric == "loss" or found.best_epoch <= found.since:
        yield line + record.say("; fewer epochs would do")
    else:
        yield line + record.say(
            ", though {metric} is best only at epoch {epoch:g} (median)",
            metric=table.escape(record.metric),
            epoch=found.best_epoch,
        )


def _epochs_lines(record: SearchRecord) -> Iterator[str]:
    found = best_epochs(record)
    if found is None:
        return
    if found.at_the_end >= _MANY * found.trials:
        yield record.say(
            "{count} of {trials} trials that trained for all their epochs were best at the last one: more epochs may "
            "help",
            count=found.at_the_end,
            trials=found.trials,
        )
    elif found.early >= _MANY * found.trials:
        yield record.say(
            "{count} of {trials} trials that trained for all their epochs were best in the first half of them: fewer "
            "epochs would do",
            count=found.early,
            trials=found.trials,
        )


def _test_lines(record: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    found = scored_on_test(record)
    if not found:
        return
    intervals = evidence.intervals if evidence else {}
    known = [(trial, intervals[trial.trial]) for trial in found if trial.trial in intervals]
    if not known:
        yield record.say(
            "Test minus validation: {mean:+.3f} on average over {trials} trials scored on test, no interval",
            mean=sum(trial.test - trial.val for trial in found) / len(found),
            trials=len(found),
        )
        return
    outside = [(trial, interval) for trial, interval in known if not interval.low <= trial.test <= interval.high]
    agree = record.say(
        "Test agrees with validation in {count} of {trials} trials scored on it",
        count=len(known) - len(outside),
        trials=len(known),
    )
    if not outside:
        metric = table.escape(record.metric)
        yield agree + record.say(": its {metric} lies in the 95 % interval of validation", metric=metric)
        return
    told = "; ".join(_outside(record, trial, interval) for trial, interval in outside[:_MOST_TRIALS])
    told += "; ..." * (len(outside) > _MOST_TRIALS)
    yield agree + record.say("; outside the 95 % interval of validation: {trials}", trials=told)


def _outside(record: SearchRecord, trial: OnTest, interval: Interval) -> str:
    return record.say(
        "{trial} {test:.3f} on test, {val:.3f} [{low:.3f}, {high:.3f}] on validation",
        trial=table.escape(trial.trial),
        test=trial.test,
        val=trial.val,
        low=interval.low,
        high=interval.high,
    )


def _endings_lines(record: SearchRecord) -> Iterator[str]:
    found = endings(record)
    if set(found) <= {"complete"}:
        return
    told = [
        record.say(_ENDINGS.get(status, "{count} {status}"), count=len(trials), status=status)
        for status, trials in found.items()
    ]
    diverged = found.get("diverged", [])
    named = ", ".join(map(table.escape, diverged[:_MOST_TRIALS])) + ", ..." * (len(diverged) > _MOST_TRIALS)
    count = len(record.trials)
    of = record.say("Of {count} trials", count=count) if count > 1 else record.say("Of one trial")
    yield f"{of}: {', '.join(told)}" + (f" ({named})" if diverged else "")


_ENDINGS = {
    "complete": marked("{count} trained for all their epochs"),
    "early_stopped": marked("{count} ended by patience"),
    "pruned": marked("{count} stopped early for doing worse than others"),
    "halted": marked("{count} paused early for doing worse than others"),
    "diverged": marked("{count} diverged"),
    "failed": marked("{count} failed"),
    "lost": marked("{count} lost"),
    "running": marked("{count} running"),
    "paused": marked("{count} paused"),
    "waiting": marked("{count} waiting"),
}
