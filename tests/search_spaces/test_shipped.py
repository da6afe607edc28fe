"""The shipped spaces are valid for what they are meant for, and listed."""

from __future__ import annotations

import pytest

from search_spaces.check import prove
from search_spaces.shipped import shipped_paths, shipped_spaces
from search_spaces.space import load_space
from trainable.task import Task


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("name", shipped_paths())
def test_shipped_spaces_prove_clean(name: str, task: Task) -> None:
    assert prove(load_space(name), task) == []


@pytest.mark.parametrize("name", shipped_paths())
def test_shipped_spaces_say_what_they_ask_what_they_cost_and_how_to_run_them(name: str) -> None:
    source = load_space(name).source
    opening = source[: source.index("version:")]
    assert all(word in opening for word in ("# Asks:", "# Cost:", f"# Run:  tuner search {name} "))
    assert load_space(name).baseline_params(), "the baseline is a point of the space"


def test_they_are_listed() -> None:
    rows = {row.name: row for row in shipped_spaces()}
    assert {"default", "quick"} <= rows.keys()
    assert rows["quick"].axes == len(load_space("quick").axes)
    assert all(row.about and row.path.is_file() for row in rows.values())
