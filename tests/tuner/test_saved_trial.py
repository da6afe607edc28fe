"""`tuner train`: one config again, from best.yaml or bare."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from small_searches import RunTuner
from small_trials import TINY, small_config

from trainable.errors import UserError
from trainable.weights import Weights
from tuner.result import Result
from tuner.saved_trial import read_saved, train_again

BARE = {"backbone": TINY, "pretrained": False, "image_size": 32, "freeze": 2, "epochs": 2, "batch_size": 12}


def changed(best: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of best.yaml with something else in it."""
    record = YAML(typ="safe").load(best)
    change(record)
    copy = folder / "changed.yaml"
    YAML().dump(record, copy)
    return copy


def bare(folder: Path, **fields: Any) -> Path:
    path = folder / "config.yaml"
    YAML().dump(BARE | fields, path)
    return path


def test_best_yaml_says_all_that_a_rerun_needs(searched: Result) -> None:
    saved = read_saved(searched.store.best_yaml, None)
    best = searched.record.best
    assert best
    assert saved.config == searched.best
    assert (saved.objective.metric, saved.data.task, saved.threads) == ("f2_macro", "multilabel", 1)
    assert (saved.expected, saved.epochs_run, saved.data_hash) == (
        best.best_value,
        best.epochs_run,
        searched.record.data["hash"],
    )


def test_a_rerun_comes_to_the_same_score(searched: Result, tmp_path: Path) -> None:
    for number, file in enumerate([searched.store.best_yaml, *sorted(searched.store.top.iterdir())]):
        epochs: list[int] = []
        out = tmp_path / f"out{number}"
        outcome = train_again(read_saved(file, None), out, None, lambda report, seen=epochs: seen.append(report.epoch))
        assert outcome.difference == 0
        assert outcome.verified
        assert epochs == [1, 2]
        assert {path.name for path in out.iterdir()} == {"checkpoints", "predictions.npz", "splits.csv"}


def test_no_more_epochs_than_the_trial_had(searched: Result, tmp_path: Path) -> None:
    def stop_after_one(record: dict[str, Any]) -> None:
        record["result"]["epochs_run"] = 1

    epochs: list[int] = []
    file = changed(searched.store.best_yaml, tmp_path, stop_after_one)
    train_again(read_saved(file, None), tmp_path / "out", None, lambda report: epochs.append(report.epoch))
    assert epochs == [1]


def test_other_data_than_the_files_are_refused(searched: Result, labels_csv: Path, tmp_path: Path) -> None:
    data = shutil.copytree(labels_csv.parent, tmp_path / "data") / "labels.csv"
    saved = read_saved(searched.store.best_yaml, data)
    assert train_again(saved, tmp_path / "same", None, lambda _: None).verified  # moved, but the same
    data.write_text(data.read_text().replace("green", "verdant"))
    with pytest.raises(UserError, match="not the data that the file's result was trained on"):
        train_again(saved, tmp_path / "other", None, lambda _: None)
    assert not (tmp_path / "other").exists()


def test_other_weights_than_the_files_are_refused(
    searched: Result, tmp_path: Path, weights_of: Callable[[str], Weights]
) -> None:
    def pretrained(record: dict[str, Any]) -> None:
        record["config"]["pretrained"] = True
        record["provenance"]["weights_sha256"] = "0" * 64

    saved = read_saved(changed(searched.store.best_yaml, tmp_path, pretrained), None)
    with pytest.raises(UserError, match="not the weights that the file's result was trained from"):
        train_again(saved, tmp_path / "out", weights_of(TINY), lambda _: None)


def test_nothing_is_overwritten(searched: Result, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="nothing is overwritten"):
        train_again(read_saved(searched.store.best_yaml, None), tmp_path / "out", None, lambda _: None)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bare_config_is_trained_on_given_data(
    labels_csv: Path, class_folders: Path, tmp_path: Path, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = bare(tmp_path)
    saved = read_saved(config, labels_csv, "f2_macro", "75/25")
    assert saved.config == small_config()
    assert (saved.objective.metric, saved.data.split, saved.expected) == ("f2_macro", "75/25", None)
    ran = run_tuner("train", config, "--data", class_folders, "--objective", "accuracy")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0].startswith("epoch 1: accuracy ")
    assert (tmp_path / f"{tmp_path.name}-config-trained" / "checkpoints" / "best.pt").is_file()
    again = run_tuner("train", config, "--data", class_folders)
    assert (again.code, "nothing is overwritten" in again.err) == (2, True)


def test_a_config_that_does_not_fit_the_task_is_a_mistake(
    class_folders: Path, tmp_path: Path, run_tuner: RunTuner
) -> None:
    config = bare(tmp_path, loss={"pos_weight": 2.0})
    ran = run_tuner("train", config, "--data", class_folders, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "pos_weight" in ran.err


def test_a_config_that_diverges_fails_without_a_traceback(
    labels_csv: Path, tmp_path: Path, run_tuner: RunTuner
) -> None:
    absurd = {"kind": "sgd", "lr": 10.0, "head_lr_multiplier": 1000.0}
    config = bare(tmp_path, optimizer=absurd, freeze=0)
    ran = run_tuner("train", config, "--data", labels_csv, "--out", tmp_path / "out")
    assert ran.code == 1
    assert ran.err.startswith("error: diverged")
    assert len(ran.err.splitlines()) == 1


def test_verify_says_by_how_much_it_missed(searched: Result, tmp_path: Path, run_tuner: RunTuner) -> None:
    def flatter(record: dict[str, Any]) -> None:
        record["result"]["objective"]["value"] += 0.25

    file = changed(searched.store.best_yaml, tmp_path, flatter)
    ran = run_tuner("train", file, "--verify", "--out", tmp_path / "out")
    assert ran.code == 1
    assert "NOT the same" in ran.out
    assert "difference 2.50e-01" in ran.out
    ran = run_tuner("train", searched.store.best_yaml, "--verify", "--out", tmp_path / "other")
    assert (ran.code, ran.out.splitlines()[-1].startswith("verified")) == (0, True)
