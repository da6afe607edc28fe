"""Rows of a leaderboard found, sorted and counted as an address asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.report.page.rows import Cell, Heading, Table, TableRow
from tuner.service.page.views.board import ORDERS, ROWS, Wanted, board_of, wanted_of


def row(name: str, value: float | None, lr: str, status: str = "complete", backbone: str = "lite0") -> TableRow:
    cells = (
        Cell(name, name),
        Cell("" if value is None else f"{value:.3f}", "" if value is None else str(value), value is not None),
        Cell(lr, lr),
    )
    return TableRow(name, status, backbone, None, False, False, "", None, cells)


TABLE = Table(
    (Heading("trial", "trial"), Heading("f2", "objective"), Heading("lr", "")),
    (
        row("t0002", 0.7, "1e-3"),
        row("t0010", 0.65, "2e-5", backbone="lite1"),
        row("t0001", 0.6, "1e-2"),
        row("t0003", None, "1e-4", status="failed"),
    ),
    trials=4,
    trials_in_all=4,
    baseline_at=None,
)


def names(**query: str) -> list[str]:
    return [found.name for found in board_of(TABLE, wanted_of(query)).rows]


def test_by_default_all_are_there_as_ranked() -> None:
    assert names() == ["t0002", "t0010", "t0001", "t0003"]


def test_all_words_must_be_found() -> None:
    assert names(find="LITE t0") == []  # of the backbone, which no column of this table has
    assert names(find="0.6 t00") == ["t0010", "t0001"]
    assert names(find="failed") == ["t0003"]


def test_status_and_backbone_are_chosen_whole() -> None:
    assert names(status="failed") == ["t0003"]
    assert names(backbone="lite1", status="complete") == ["t0010"]


@pytest.mark.parametrize(
    ("column", "order", "wanted"),
    [
        ("objective", "ascending", ["t0001", "t0010", "t0002", "t0003"]),
        ("objective", "descending", ["t0002", "t0010", "t0001", "t0003"]),
        ("lr", "ascending", ["t0010", "t0003", "t0002", "t0001"]),
        ("trial", "descending", ["t0010", "t0003", "t0002", "t0001"]),
        ("no such column", "ascending", ["t0002", "t0010", "t0001", "t0003"]),
    ],
)
def test_numbers_sort_as_numbers_and_what_is_missing_is_last(column: str, order: str, wanted: list[str]) -> None:
    assert names(sort=column, order=order) == wanted


def test_a_pressed_title_sorts_up_then_down_then_not() -> None:
    asked = wanted_of({"by": "lr"})
    assert (asked.sort, asked.order) == ("lr", "ascending")
    asked = wanted_of({"by": "lr", "sort": "lr", "order": "ascending"})
    assert (asked.sort, asked.order) == ("lr", "descending")
    asked = wanted_of({"by": "lr", "sort": "lr", "order": "descending"})
    assert (asked.sort, asked.order) == ("", "none")
    asked = wanted_of({"by": "objective", "sort": "lr", "order": "descending"})
    assert (asked.sort, asked.order) == ("objective", "ascending")


def test_only_so_many_rows_are_given_at_first() -> None:
    table = Table(TABLE.headings, tuple(row(f"t{number:04}", 0.5, "1e-3") for number in range(1000)), 1000, 1000, None)
    board = board_of(table, Wanted())
    assert (len(board.rows), board.found, board.left) == (ROWS, 1000, 1000 - ROWS)
    assert len(board_of(table, wanted_of({"rows": "500"})).rows) == 500


@given(st.dictionaries(st.sampled_from(["find", "status", "backbone", "sort", "order", "rows", "by"]), st.text()))
def test_no_address_is_an_error(query: dict[str, str]) -> None:
    wanted = wanted_of(query)
    assert wanted.order in ORDERS
    assert wanted.rows >= ROWS
    board_of(TABLE, wanted)


def test_an_address_has_only_what_was_asked_for() -> None:
    assert Wanted().query == ""
    assert Wanted(find="a&b", sort="lr", order="ascending").query == "find=a%26b&sort=lr&order=ascending"
