"""The leaderboard as the page shows it: cells with the values that they sort by, intervals on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord, TrialRecord
from tuner.report.entries import Entry, entries_of, name_of, shown_entries, trials_of
from tuner.report.leaderboard import Row, rows
from tuner.report.plots.limits import value_limits
from tuner.report.plots.source import places
from tuner.report.readable import Column, columns_of

_FIRST = ("rank", "pareto", "trial", "objective")
"""columns that are seen before anyone scrolls"""
_MANY_COLUMNS = 18
MOST_ROWS = 500
"""of trials; the baseline and references are shown in any case, and leaderboard.csv has all"""


@dataclass(frozen=True)
class Cell:
    text: str
    sort: str
    """a number or a text; empty sorts last"""
    is_number: bool = False


@dataclass(frozen=True)
class Span:
    """A value and its interval, in percent of the table's scale."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TableRow:
    name: str
    status: str
    backbone: str
    place: int | None
    """among the top trials, from 1: its colour"""
    baseline: bool
    tied: bool
    link: str
    """http or https; empty: none"""
    span: Span | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Heading:
    title: str
    key: str
    """of the column in leaderboard.csv"""


@dataclass(frozen=True)
class Table:
    headings: tuple[Heading, ...]
    rows: tuple[TableRow, ...]
    trials: int
    """in the table"""
    trials_in_all: int
    baseline_at: float | None
    """percent of the scale of intervals"""

    @property
    def wide(self) -> bool:
        """Whether it takes a smaller print."""
        return len(self.headings) > _MANY_COLUMNS

    @property
    def statuses(self) -> list[str]:
        return list(dict.fromkeys(row.status for row in self.rows))

    @property
    def backbones(self) -> list[str]:
        return sorted({row.backbone for row in self.rows if row.backbone})


def table_of(search: SearchRecord, evidence: Evidence | None, most: int) -> Table:
    """The first `most` trials, with the baseline and the references."""
    shown, exact = shown_entries(search, most), rows(search, evidence, most)
    columns = sorted(columns_of(search, evidence, shown), key=lambda column: column.key not in _FIRST)
    limits = _limits(search, exact)
    found = places(search)
    baseline = search.baseline.best_value if search.baseline else None
    return Table(
        headings=tuple(Heading(column.title, column.key) for column in columns),
        rows=tuple(
            _row(entry, row, _cells(columns, at, row), _span(row, limits), found)
            for at, (entry, row) in enumerate(zip(shown, exact, strict=True))
        ),
        trials=len(trials_of(shown)),
        trials_in_all=len(trials_of(entries_of(search))),
        baseline_at=None if baseline is None else _percent(baseline, limits),
    )


def _row(entry: Entry, row: Row, cells: tuple[Cell, ...], span: Span | None, found: dict[str, int]) -> TableRow:
    is_trial = isinstance(entry, TrialRecord)
    return TableRow(
        name=name_of(entry),
        status=row["status"],
        backbone=str(row["backbone"] or ""),
        place=found.get(name_of(entry)) if is_trial else None,
        baseline=isinstance(entry, TrialRecord) and entry.baseline,
        tied=row["tied"] is True,
        link=row["link"] or "",
        span=span,
        cells=cells,
    )


def _cells(columns: Sequence[Column], at: int, row: Row) -> tuple[Cell, ...]:
    return tuple(_cell(row, column, column.cells[at]) for column in columns)


def _cell(row: Row, column: Column, text: str) -> Cell:
    value: Any = row.get(column.key) if column.key else text
    if value is None:
        return Cell(text, "")
    if isinstance(value, bool):
        return Cell(text, str(int(value)))
    return Cell(text, str(value), isinstance(value, int | float))


def _limits(search: SearchRecord, exact: Sequence[Row]) -> tuple[float, float]:
    """References may lie far beyond: their row is at the edge then."""
    ends = [row[name] for row in exact for name in ("ci_low", "ci_high") if row["rank"] is not None]
    best = search.best.best_value if search.best else None
    baseline = search.baseline.best_value if search.baseline else None
    return value_limits(
        [row["objective"] for row in exact if row["status"] != "reference"], kept=[best, baseline, *ends]
    )


def _span(row: Row, limits: tuple[float, float]) -> Span | None:
    if row["objective"] is None:
        return None
    low, high = (None if row[name] is None else _percent(row[name], limits) for name in ("ci_low", "ci_high"))
    return Span(_percent(row["objective"], limits), low, high)


def _percent(value: float, limits: tuple[float, float]) -> float:
    """Where a value lies; beyond the scale, its edge."""
    return round(100 * min(max((value - limits[0]) / (limits[1] - limits[0]), 0.0), 1.0), 2)
