"""A search's results in Python."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from small_searches import MakeSpace

import tuner
from trainable.errors import UserError
from tuner.result import Result, load, search


def test_the_package_gives_search_and_load() -> None:
    assert (tuner.search, tuner.load) == (search, load)
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        _ = tuner.serch


def test_a_frame_has_the_columns_of_the_table(searched: Result) -> None:
    with searched.store.leaderboard_csv.open() as file:
        header, *rows = csv.reader(file)
    frame = searched.frame()
    assert list(frame.columns) == header
    assert list(frame["trial"]) == [row[header.index("trial")] for row in rows]
    assert frame["objective"].is_monotonic_decreasing


def test_the_best_config_and_its_model(searched: Result, labels_csv: Path) -> None:
    best = searched.record.best
    assert best
    assert searched.best.model_dump(mode="json") == best.config
    images = [labels_csv.parent / "images" / "000.png", str(labels_csv.parent / "images" / "001.png")]
    predictions = searched.predict(images)
    assert [prediction.path for prediction in predictions] == [Path(image) for image in images]
    assert all(set(p.probabilities) == {"blue", "green", "red"} for p in predictions)
    assert searched.model("t0001").config.freeze == 2


def test_a_result_shows_its_table(searched: Result) -> None:
    assert repr(searched).startswith("# searched: f2_macro (higher is better)")


def test_load_takes_a_name_or_a_folder(searched: Result) -> None:
    folder = searched.store.folder
    assert load("searched", folder.parent).record == load(folder).record == searched.record


def test_what_is_not_there_is_a_mistake(searched: Result, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no search 'nothing'"):
        load("nothing", tmp_path)
    with pytest.raises(UserError, match="has no trial 't0042'"):
        searched.model("t0042")


def test_a_search_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "events.jsonl").write_text("")
    result = load(folder)
    assert list(result.frame().columns) == []
    with pytest.raises(UserError, match="no trial has finished yet"):
        _ = result.best


def test_mistakes_in_the_options_are_told_together(make_space: MakeSpace, labels_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        search(make_space(), labels_csv, "new", trials=0, data_options={"data_seed": -1}, results=tmp_path / "results")
    assert len(caught.value.mistakes) == 2
    assert not (tmp_path / "results").exists()
