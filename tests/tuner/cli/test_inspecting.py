"""Looking at the labels of a search that has been run."""

from __future__ import annotations

import json
from pathlib import Path

from small_searches import RunTuner

from tuner.result import Result
from tuner.store import Store
from tuner.stored_inspection import stored_duplicates, stored_inspection


def test_a_search_shows_what_its_trials_doubt(searched: Result, run_tuner: RunTuner) -> None:
    results = searched.store.results
    ran = run_tuner("inspect", "searched", "--results", results)
    assert (ran.code, ran.err) == (0, "")
    assert "suspected labels, by the mean of t000" in ran.out
    assert "on 6 validation images" in ran.out
    by_path = json.loads(run_tuner("inspect", searched.store.folder, "--json").out)
    assert by_path["images"] == 40
    assert by_path["suspected_labels"]["folds"] == 0
    assert {"duplicates", "drift", "balance", "problems"} <= by_path.keys()


def test_a_name_that_is_neither_data_nor_a_search(searched: Result, run_tuner: RunTuner) -> None:
    ran = run_tuner("inspect", "serched", "--results", searched.store.results)
    assert ran.code == 2
    assert "serched: no such file or folder, and no search 'serched' in" in ran.err
    assert "searched" in ran.err


def test_options_of_reading_data_are_not_for_a_search(searched: Result, run_tuner: RunTuner) -> None:
    ran = run_tuner("inspect", searched.store.folder, "--split", "80/20")
    assert ran.code == 2
    assert "leave out the options of reading them" in ran.err


def test_what_was_found_as_the_search_began_is_kept(searched: Result, tmp_path: Path) -> None:
    store = Store(searched.store.folder)
    stored = stored_inspection(store)
    assert (stored["images"], stored["task"], stored_duplicates(store)) == (40, "multilabel", [])
    assert stored_inspection(Store(tmp_path)) == {}
