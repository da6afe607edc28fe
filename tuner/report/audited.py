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
    failed = f"; {len(audited) - len(finished)} did not come so far" if len(finished) < len(audited) else ""
    yield "## Was halving safe?"
    yield (
        f"{len(audited)} of {halted} halted trials, drawn at random, were trained on, {len(finished)} of them to the "
        f"end{failed}. Spearman's rank correlation of the best value at a rung with the best value in the end, over "
        f"all trials that ran to the end: those that the rungs let pass and the audited ones."
    )
    rungs = [_cells(found) for found in rung_agreements(search)]
    yield table.table(["rung", "epochs", "trials", "correlation", "95 %"], rungs)
    yield "\n".join(f"- {_standing(search, trial)}" for trial in finished)
    yield _verdict(search, finished)


def at_rung(search: SearchRecord, rung: int) -> str:
    """`rung 2 (3 epochs)`."""
    levels = rungs_of(search)
    if rung > len(levels):
        return f"rung {rung}"
    return f"rung {rung} ({levels[rung - 1]:g} epoch{'s' * (levels[rung - 1] != 1)})"


def _cells(found: RungAgreement) -> list[str]:
    if found.interval:
        interval = table.interval(*found.interval)
    else:
        interval = f"fewer than {FEWEST_FOR_INTERVAL} trials" if found.trials < FEWEST_FOR_INTERVAL else ""
    correlation = "" if found.correlation is None else f"{found.correlation:.2f}"
    return [str(found.rung), f"{found.epochs:g}", str(found.trials), correlation, interval]


def _standing(search: SearchRecord, trial: TrialRecord) -> str:
    rank, among = standing(search, trial)
    return (
        f"{table.escape(trial.id)}, halted at {at_rung(search, trial.audited_at or 0)}, came to "
        f"{table.metric(trial.best_value)}: rank {rank} of {among} by value, among those that halving let "
        f"finish and itself"
    )


def _verdict(search: SearchRecord, finished: list[TrialRecord]) -> str:
    first = [trial for trial in finished if standing(search, trial)[0] == 1]
    if first:
        names = table.escape(", ".join(trial.id for trial in first))
        return f"Halving lost something here: {names} would have been first."
    missed = 1 - 0.05 ** (1 / len(finished))  # the largest share that none of so many draws has a 5 % chance to miss
    return (
        f"Of the audited trials none would have been first. So few do not show that no halted one would: up to "
        f"{missed:.0%} of such trials may be better than the best (95 % confidence)."
    )
