"""One search as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord
from tuner.report.entries import trials_of
from tuner.report.footnotes import footnotes
from tuner.report.page.content import Best, Named, best_of, named_trials
from tuner.report.page.rows import Table, table_of
from tuner.service.page.views.board import Board, Wanted, board_of
from tuner.service.page.views.known import Known
from tuner.service.page.views.rungs import Rung, rungs
from tuner.service.page.views.training import Training, in_training

_WAITS_FOR: Mapping[str, str] = {
    "queued": "no_trials_queued",
    "starting": "no_trials_starting",
    "running": "no_trials_starting",
    "failed": "no_trials_failed",
}
"""state -> the text of a search without a trial"""


@dataclass(frozen=True)
class SearchPage:
    name: str
    record: SearchRecord
    seq: int
    """of the event up to which it tells"""
    board: Board
    footnotes: str
    """Markdown"""
    best: Best | None
    named: tuple[Named, ...]
    """trials that have a colour of their own"""
    training: tuple[Training, ...]
    rungs: tuple[Rung, ...]
    conclusions: str
    """Markdown; empty before there are any"""
    log: str
    files: tuple[tuple[str, str], ...]
    """name and address of those that are there"""
    waits_for: str
    """name of the text that says why there is no trial; empty: there is one, or it will not come"""
    keep_days: float
    cpus: float
    gpus: float

    @property
    def address(self) -> str:
        return f"/searches/{quote(self.name)}"

    @property
    def api(self) -> str:
        return f"/v1/searches/{quote(self.name)}"

    @property
    def has_curves(self) -> bool:
        """Whether there is anything to draw yet."""
        return any(trial.epochs for trial in self.record.trials)

    @property
    def statuses(self) -> list[str]:
        return self.board.table.statuses

    @property
    def backbones(self) -> list[str]:
        return self.board.table.backbones


def full_table(record: SearchRecord, evidence: Evidence) -> Table:
    """All rows: a second or so for thousands of trials, so that it is worth keeping while nothing is told."""
    return table_of(record, evidence, most=max(len(record.trials), 1))


def search_page(
    known: Known,
    record: SearchRecord,
    evidence: Evidence,
    table: Table,
    wanted: Wanted,
    *,
    seq: int = 0,
    conclusions: str = "",
    log: str = "",
    files: tuple[tuple[str, str], ...] = (),
    keep_days: float = 0,
    cpus: float = 0,
    gpus: float = 0,
) -> SearchPage:
    """Of what a log tells so far; a search that has told nothing has a record with nothing but its name."""
    shown = trials_of([*record.ranked()]) if record.trials else []
    return SearchPage(
        name=known.name,
        record=record,
        seq=seq,
        board=board_of(table, wanted),
        footnotes="\n\n".join(footnotes(record, evidence, shown)) if shown else "",
        best=best_of(record, evidence),
        named=tuple(named_trials(record)),
        training=in_training(record),
        rungs=rungs(record) if record.trials else (),
        conclusions=conclusions,
        log=log,
        files=files,
        waits_for=_WAITS_FOR.get(known.state, ""),
        keep_days=keep_days,
        cpus=cpus,
        gpus=gpus,
    )
