"""The shipped spaces are valid for what they are meant for, and listed."""

from __future__ import annotations

import pytest

from search_spaces.check import prove
from search_spaces.shipped import shipped_paths, shipped_spaces
from search_spaces.space import load_space
from trainable.errors import UserError
from trainable.task import Task

REPORTS = {  # name -> runs
    "exponential_lr": 5,
    "poster_genres": 16,
    "frozen_f2": 16,
    "freeze_grid": 28,
    "two_stage_b4": 12,
}


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("name", shipped_paths())
def test_shipped_spaces_prove_clean(name: str, task: Task) -> None:
    space = load_space(name)
    if space.task in ("auto", task):
        assert prove(space, task) == []


@pytest.mark.parametrize("name", shipped_paths())
def test_shipped_spaces_say_what_they_ask_what_they_cost_and_how_to_run_them(name: str) -> None:
    source = load_space(name).source
    opening = source[: source.index("version:")]
    assert all(word in opening for word in ("# Asks:", "# Cost:", f"# Run:  tuner search {name} "))
    assert load_space(name).baseline_params(), "the baseline is a point of the space"


@pytest.mark.parametrize(("name", "runs"), REPORTS.items())
def test_reports_compare_all_their_rows_at_equal_fidelity(name: str, runs: int) -> None:
    space = load_space(f"reports/{name}")
    assert (space.sampler, space.scheduler.kind) == ("grid", "none")
    assert (space.size(), space.trials()) == (runs, runs), "the baseline is one of the rows"
    assert space.hypothesis


def test_the_freeze_grid_is_the_one_of_the_report() -> None:
    space = load_space("reports/freeze_grid")
    first, *_, last = [space.config(params) for params in space.grid()]
    assert space.split == "75/25"
    assert first == space.baseline_config()
    assert (first.freeze, first.head.kind, first.schedule.model_dump()) == (
        0,
        "linear",
        {"kind": "plateau", "patience_epochs": 1, "factor": 0.5},
    )
    assert (last.freeze, last.head.kind, last.schedule.kind) == (6, "two_linear", "cosine")
    assert {(one.batch_size, one.epochs, one.patience_epochs, one.optimizer.lr) for one in (first, last)} == {
        (4, 15, 2, 1e-5)
    }


def test_stages_tell_how_long_a_trial_lasts() -> None:
    space = load_space("reports/two_stage_b4")
    plans = {tuple((stage.epochs, stage.freeze) for stage in space.config(p).plan) for p in space.grid()}
    assert plans == {((7, "all"), (5, 0)), ((12, 0),), ((7, "all"), (23, 0)), ((30, 0),)}
    assert {space.config(params).epochs for params in space.grid()} == {12, 30}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_that_is_named_without_its_folder_is_pointed_at(name: str) -> None:
    for mistyped in (name, f"report/{name}", f"{name}s.yaml"):
        with pytest.raises(UserError, match=f"did you mean 'reports/{name}'"):
            load_space(mistyped)


def test_they_are_listed() -> None:
    rows = {row.name: row for row in shipped_spaces()}
    assert {"default", "quick"} <= rows.keys()
    assert rows["quick"].axes == len(load_space("quick").axes)
    assert all(row.about and row.path.is_file() for row in rows.values())
