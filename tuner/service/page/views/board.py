"""The leaderboard as someone wants to see it: rows found by words, sorted, and so many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlencode

from tuner.report.page.rows import Cell, Heading, Table, TableRow

Order = Literal["ascending", "descending", "none"]
ORDERS: tuple[Order, ...] = ("none", "ascending", "descending")
"""one after the other, as a column's title is pressed"""
ROWS = 30
"""at first, so that what is below is not far away"""
MORE_ROWS = 200


@dataclass(frozen=True)
class Wanted:
    """What someone asked to see; by default all, as ranked."""

    find: str = ""
    """words, all of which a row must have"""
    status: str = ""
    backbone: str = ""
    sort: str = ""
    """a column's key"""
    order: Order = "none"
    rows: int = ROWS

    @property
    def query(self) -> str:
        """As an address has it; empty where nothing was asked for."""
        asked = {name: value for name, value in vars(self).items() if value != getattr(Wanted, name)}
        return urlencode(asked)


@dataclass(frozen=True)
class Board:
    """Rows and the table that they are of."""

    table: Table
    wanted: Wanted
    rows: tuple[TableRow, ...]
    found: int
    """rows that were asked for; `rows` are the first of them"""

    @property
    def left(self) -> int:
        return self.found - len(self.rows)

    def order_of(self, heading: Heading) -> Order:
        return self.wanted.order if self.wanted.sort == key_of(heading) else "none"


def key_of(heading: Heading) -> str:
    """What a column is asked for by."""
    return heading.key or heading.title


def wanted_of(query: Mapping[str, str]) -> Wanted:
    """Of an address; what makes no sense is as if it were not there. `by` is a column whose title was pressed."""
    order: Order = next((known for known in ORDERS if known == query.get("order")), "none")
    rows = query.get("rows", "")
    asked = Wanted(
        find=query.get("find", "").strip(),
        status=query.get("status", ""),
        backbone=query.get("backbone", ""),
        sort=query.get("sort", "") if order != "none" else "",
        order=order if query.get("sort") else "none",
        rows=max(int(rows), ROWS) if rows.isascii() and rows.isdigit() and len(rows) < 10 else ROWS,
    )
    return _pressed(asked, query["by"]) if query.get("by") else asked


def _pressed(asked: Wanted, column: str) -> Wanted:
    at = ORDERS.index(asked.order) if asked.sort == column else 0
    order = ORDERS[(at + 1) % len(ORDERS)]
    return replace(asked, sort="" if order == "none" else column, order=order)


def board_of(table: Table, wanted: Wanted) -> Board:
    """What is wanted of a table."""
    rows = [row for row in table.rows if _is_wanted(row, wanted)]
    at = next((at for at, heading in enumerate(table.headings) if key_of(heading) == wanted.sort), None)
    if at is not None and wanted.order != "none":
        rows = _sorted(rows, at, descending=wanted.order == "descending")
    return Board(table, wanted, tuple(rows[: wanted.rows]), len(rows))


def _is_wanted(row: TableRow, wanted: Wanted) -> bool:
    if (wanted.status and row.status != wanted.status) or (wanted.backbone and row.backbone != wanted.backbone):
        return False
    words = wanted.find.lower().split()
    if not words:
        return True
    text = "\n".join([row.status, *(cell.text for cell in row.cells)]).lower()
    return all(word in text for word in words)


def _sorted(rows: list[TableRow], at: int, descending: bool) -> list[TableRow]:
    """By a column's values, numbers as numbers; rows without one are last either way."""
    told = [row for row in rows if row.cells[at].sort]
    if all(row.cells[at].is_number for row in told):
        told.sort(key=lambda row: float(row.cells[at].sort), reverse=descending)
    else:
        told.sort(key=lambda row: _natural(row.cells[at]), reverse=descending)
    return [*told, *(row for row in rows if not row.cells[at].sort)]


def _natural(cell: Cell) -> tuple[bool, float, str]:
    """Numbers before texts."""
    try:
        return False, float(cell.sort), ""
    except ValueError:
        return True, 0.0, cell.sort.lower()
