"""What people are told of a search that they do not watch: in plain text, which every service shows alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.readable import CONFIG_COLUMNS, config_cells, objective_cell, place_of
from tuner.spending import NEARLY
from tuner.storage.place import Place

TOP_ROWS = 3
"""trials that a message tells of, beside the baseline"""

Kind = Literal["info", "success", "warning", "failure"]
"""as apprise names them"""

_ENDS: dict[str, tuple[str, Kind]] = {
    "complete": ("is complete", "success"),
    "stopped": ("was stopped", "warning"),
    "failed": ("has failed", "failure"),
}


@dataclass(frozen=True)
class Message:
    """What is told at once."""

    title: str
    body: str
    kind: Kind


def told_of_end(search: SearchRecord, evidence: Evidence, place: Place) -> Message:
    """That a search has ended, why where that was before its end, and what it has found."""
    ended, kind = _ENDS.get(search.status, ("has ended", "info"))
    why = [] if search.status == "complete" else [table.reason(search.reason), f"`tuner resume {search.name}` goes on"]
    return Message(f"Search {search.name} {ended}", _body(search, evidence, place, why), kind)


def told_of_budget(search: SearchRecord, spent: str, place: Place) -> Message:
    """That little is left of what a search may take, and what it has found so far."""
    return Message(f"Search {search.name}: {spent}", _body(search, Evidence(ranks=search.ranks()), place, []), "info")


def trials_nearly_through(search: SearchRecord) -> str:
    """How many trials are through, once few are left; empty before, and when all are."""
    through, asked = _through(search), search.budget or 0
    return f"{through} of {asked} trials are through" if NEARLY * asked <= through < asked else ""


def _through(search: SearchRecord) -> int:
    return sum(trial.status not in ("waiting", "running", "paused", "lost") for trial in search.trials)


def _body(search: SearchRecord, evidence: Evidence, place: Place, why: list[str]) -> str:
    better = "higher" if search.direction == "maximize" else "lower"
    lines = [*filter(None, why), f"{_through(search)} of {search.budget} trials; {search.metric}, {better} is better:"]
    best = [trial for trial in search.ranked() if trial.eligible]
    shown = best[:TOP_ROWS] + [trial for trial in best[TOP_ROWS:] if trial.baseline]
    lines += [_row(search, trial, evidence) for trial in shown] or ["no trial has finished"]
    return "\n".join([*lines, f"results: {place}"])


def _row(search: SearchRecord, trial: TrialRecord, evidence: Evidence) -> str:
    """`1= t0012: 0.763 [0.71, 0.82] (+0.097); lite1, freeze 75% (6/9), mlp 146, ...`."""
    cells = zip(CONFIG_COLUMNS, config_cells(trial), strict=True)
    settings = [cell if name in ("backbone", "head", "schedule") else f"{name} {cell}" for name, cell in cells if cell]
    place = place_of(trial, evidence.ranks, evidence.tied)
    return f"{place} {trial.id}: {objective_cell(search, trial, evidence)}; {', '.join(settings)}".strip()
