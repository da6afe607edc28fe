"""The leaderboard's section on an audit: was halving safe?"""

from __future__ import annotations

from collections.abc import Iterator

from tuner.evidence.halted import (
    FEWEST_FOR_INTERVAL,
    RungAgreement,
    audited_trials,
    halted_trials,
    rung_agreements,
    rungs_of,
    standing,
)
from tuner.records import SearchRecord, TrialRecord
from tuner.report import table


def audit_section(search: SearchRecord) -> Iterator[str]:
    """Paragraphs; none of a search without an audit that has come to something."""
    audited = audited_trials(search)
    finished = [trial for trial in audited if trial.eligible]
    if not finished:
        return
    halted = len(audited) + len(halted_trials(search))
    say, short = search.say, len(audited) - len(finished)
    yield f"## {say('Was halving safe?')}"
    yield say(
        "{audited} of {halted} halted trials, drawn at random, were trained on, {finished} of them to the end{failed}. "
        "Spearman's rank correlation of the best value at a rung with the best value in the end, over all trials that "
        "ran to the end: those that the rungs let pass and the audited ones.",
        audited=len(audited),
        halted=halted,
        finished=len(finished),
        failed=say("; {count} did not come so far", count=short) if short else "",
    )
    rungs = [_cells(search, found) for found in rung_agreements(search)]
    yield table.table([say("rung"), say("epochs"), say("trials"), say("correlation"), "95 %"], rungs)
    yield "\n".join(f"- {_standing(search, trial)}" for trial in finished)
    yield _verdict(search, finished)


def at_rung(search: SearchRecord, rung: int) -> str:
    """`rung 2 (3 epochs)`."""
    levels = rungs_of(search)
    if rung > len(levels):
        return search.say("rung {rung}", rung=rung)
    return search.say("rung {rung} ({epochs:g} {epochs:epoch|epochs})", rung=rung, epochs=levels[rung - 1])


def _cells(search: SearchRecord, found: RungAgreement) -> list[str]:
    interval = ""
    if found.interval:
        interval = table.interval(*found.interval)
    elif found.trials < FEWEST_FOR_INTERVAL:
        interval = search.say("fewer than {count} trials", count=FEWEST_FOR_INTERVAL)
    correlation = "" if found.correlation is None else f"{found.correlation:.2f}"
    return [str(found.rung), f"{found.epochs:g}", str(found.trials), correlation, interval]


def _standing(search: SearchRecord, trial: TrialRecord) -> str:
    rank, among = standing(search, trial)
    return search.say(
        "{trial}, halted at {rung}, came to {value}: rank {rank} of {among} by value, among those that halving let "
        "finish and itself",
        trial=table.escape(trial.id),
        rung=at_rung(search, trial.audited_at or 0),
        value=table.metric(trial.best_value),
        rank=rank,
        among=among,
    )


def _verdict(search: SearchRecord, finished: list[TrialRecord]) -> str:
    first = [trial for trial in finished if standing(search, trial)[0] == 1]
    if first:
        names = table.escape(", ".join(trial.id for trial in first))
        return search.say("Halving lost something here: {trials} would have been first.", trials=names)
    missed = 1 - 0.05 ** (1 / len(finished))  # the largest share that none of so many draws has a 5 % chance to miss
    return search.say(
        "Of the audited trials none would have been first. So few do not show that no halted one would: up to "
        "{missed:.0%} of such trials may be better than the best (95 % confidence).",
        missed=missed,
    )
