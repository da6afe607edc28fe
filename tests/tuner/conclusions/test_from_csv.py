from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.conclusions.from_csv import read_table

WriteTable = Callable[[str], Path]


def test_separators_quotes_and_byte_order_marks(write_table: WriteTable) -> None:
    plain = read_table(write_table('\ufeffhead,note,f1\n"a, b",x,0.5\n\nc,"two\nlines",0.6\n')).runs
    assert [row.settings for row in plain.rows] == [{"head": "a, b"}, {"head": "c"}]
    assert read_table(write_table("head;f1\r\na;0,5\r\nc;0,625\r\n")).runs.rows[1].value == 0.625
    assert read_table(write_table("head\tf1\na\t0.5\nc\t0.6\n")).runs.settings == ("head",)


def test_units_directions_and_digits_are_the_tables_own(write_table: WriteTable) -> None:
    runs = read_table(write_table("head,acc_pct\na,97.57\nb,96\n")).runs
    assert (runs.unit, runs.direction, runs.decimals) == ("percent points", "maximize", 2)
    runs = read_table(write_table("head,val_loss\na,0.123456\nb,1\n")).runs
    assert (runs.unit, runs.direction, runs.decimals) == ("", "minimize", 4)


def test_rows_without_a_number_are_left_out_and_named(write_table: WriteTable) -> None:
    read = read_table(write_table("head,f1\na,0.5\nb,~94\nc,\nd,0.6\n"))
    assert [row.name for row in read.runs.rows] == ["row 1", "row 4"]
    assert read.unscored == ("row 2: '~94'", "row 3: ''")


def test_rows_equal_in_every_setting_are_repeats(write_table: WriteTable) -> None:
    runs = read_table(write_table("head,seed,batch,f1\na,0,4,0.5\nb,0,4,0.7\na,1,4,0.6\na,2,4,0.53\n")).runs
    (repeats,) = runs.repeats
    assert (repeats.what, repeats.values) == ("3 rows with head a", (0.5, 0.6, 0.53))
    assert runs.spread == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "has no rows"),
        ("head,f1\n", "has no rows"),
        ("head,f1\na,0.5,1\nb\nc,0.7\n", "line 2: 3 cells where the header has 2"),
        ("head,head,f1\na,b,0.5\n", "'head' is there more than once"),
        ("head,size\na,1\nb,2\n", "name one with --metric (columns of numbers: size)"),
        ("head,f1\na,x\nb,y\n", "no column holds a metric"),
        ("rank,trial,status,tied,f1\n1,t0001,complete,,0.5\n", "is a search's leaderboard; give the search's name"),
    ],
)
def test_mistakes_are_one_line_each(write_table: WriteTable, text: str, mistake: str) -> None:
    path = write_table(text)
    with pytest.raises(UserError) as caught:
        read_table(path)
    assert mistake in str(caught.value)
    assert all(line.startswith(str(path)) and "\n" not in line for line in caught.value.mistakes)


def test_ragged_lines_are_all_named_but_not_without_end(write_table: WriteTable) -> None:
    with pytest.raises(UserError) as caught:
        read_table(write_table("head,f1\n" + "a\n" * 9))
    assert len(caught.value.mistakes) == 6
    assert caught.value.mistakes[-1].endswith("4 more lines are so")


def test_columns_asked_for_must_exist(write_table: WriteTable) -> None:
    path = write_table("head,accuracy\na,0.5\nb,0.6\n")
    with pytest.raises(UserError, match="did you mean 'accuracy'"):
        read_table(path, metric="acuracy")
    with pytest.raises(
        UserError, match=r"--ignore hed: no such column; did you mean 'head'\? \(columns: head, accuracy\)"
    ):
        read_table(path, ignored=["hed"])
    with pytest.raises(UserError, match="--metric head: no cell of this column is a number"):
        read_table(path, metric="head")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("head,f1\né,1\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read_table(tmp_path / "latin.csv")
