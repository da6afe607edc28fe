"""`tuner extend`: more trials, a wider space, and what may not be added."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_leftovers import Left
from small_searches import RunTuner, tiny_space, write_space

from tuner.extension import Extension
from tuner.run import resume_search
from tuner.store import Store


def test_a_finished_search_is_extended_twice_into_one_table(left: Left, run_tuner: RunTuner, tmp_path: Path) -> None:
    store = left(len)
    before = {trial.id: trial for trial in store.record().trials}
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 1e-2, 1e-1]}}
    wider = write_space(tmp_path / "wider.yaml", tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2}))
    for more, total in ((1, 5), (1, 6)):
        ran = run_tuner("extend", store.folder, "--trials", f"+{more}", "--space", wider)
        assert ran.code == 0, ran.err
        record = store.record()
        assert (record.status, record.budget, len(record.trials)) == ("complete", total, total)
    assert {trial.id: trial for trial in record.trials if trial.id in before} == before
    assert len({json.dumps(trial.params, sort_keys=True) for trial in record.trials}) == 6
    assert record.extensions == (f"1 more trial of {wider}",) * 2
    table = store.leaderboard_md.read_text()
    assert all(trial.id in table for trial in record.trials)
    assert "- extended: 1 more trial of " in table


def test_a_grid_gets_no_more_trials_than_it_has(left: Left, run_tuner: RunTuner, tmp_path: Path) -> None:
    store = left(len)
    ran = run_tuner("extend", store.folder, "--trials", "+9")
    assert (ran.code, ran.out) == (2, "")
    assert "is a grid that has been tried whole: give a wider one with --space" in ran.err
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 1e-2, 1e-1]}}
    wider = write_space(tmp_path / "wider.yaml", tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2}))
    assert run_tuner("extend", store.folder, "--space", wider).code == 0
    assert (store.record().budget, len(store.record().trials)) == (6, 6)
    assert store.record().extensions == (f"2 more trials of {wider}",)


def test_what_could_not_be_compared_is_no_extension(left: Left, run_tuner: RunTuner, tmp_path: Path) -> None:
    store = left(len)
    other = write_space(tmp_path / "other.yaml", tiny_space(objective="f1_macro"))
    for given, told in (
        (("--trials", "+2", "--space", other), "its objective is f1_macro, the search's f2_macro"),
        (("--trials", "many"), "--trials 'many': must be a number to add, such as +20"),
        (("--trials", "+0"), "--trials '+0'"),
        (("--epochs", "-3"), "--epochs '-3': must be a number to add, such as +20"),
        (("--epochs", "+3", "--trials", "+3"), "give one kind at a time"),
        (("--trials", "+3", "--top", "2"), "--top 2: says how many trials get more epochs"),
        ((), "nothing to add: give --trials +20"),
    ):
        ran = run_tuner("extend", store.folder, *given)
        assert (ran.code, ran.out) == (2, "")
        assert told in ran.err


def test_a_wider_space_has_the_epochs_that_the_search_was_given(
    left: Left, run_tuner: RunTuner, whole: Store, tmp_path: Path
) -> None:
    copy = left(len)
    data, results = whole.folder.parent.parent / "data" / "labels.csv", copy.folder.parent
    space = write_space(tmp_path / "space.yaml", tiny_space())
    begun = ("search", space, "--data", data, "--results", results, "--name", "short", "--trials", 2)
    assert run_tuner(*begun, "--epochs", "1").code == 0
    refused = run_tuner("extend", results / "short", "--trials", "+2", "--space", space)
    assert (refused.code, refused.out) == (2, "")
    assert "its trials have other epochs than the search's" in refused.err


def test_what_was_asked_for_is_asked_for_once_however_it_was_killed(
    left: Left, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = left(len)
    with monkeypatch.context() as patch:
        patch.setattr("tuner.run.write_inputs", killed)
        with pytest.raises(KeyboardInterrupt):
            resume_search(store, extension=Extension(epochs=2, top=1))
    again = run_tuner("extend", store.folder, "--epochs", "+2", "--top", 1)
    assert again.code == 2
    assert "`tuner resume` finishes that; then extend it again" in again.err
    assert run_tuner("resume", store.folder).code == 0
    record = store.record()
    assert [(trial.epochs_run, trial.status) for trial in record.trials if trial.parent] == [(2, "complete")]
    assert (record.budget, record.status) == (5, "complete")


def test_an_extension_has_hours_of_its_own(left: Left, run_tuner: RunTuner) -> None:
    store = left(len)
    stored = store.search_yaml.read_text()
    store.search_yaml.write_text(stored.replace("\n  hours: null\n", "\n  hours: 1.0\n"))
    for more in ((), ("--hours", "3")):
        assert run_tuner("extend", store.folder, "--epochs", "+1", "--top", 1, *more).code == 0
    resumed = [event for event in store.events() if event["kind"] == "search_resumed"]
    assert [event["granted"] for event in resumed] == [{"hours": h, "gpu_hours": None} for h in (1, 3)]


def killed(*_: object) -> None:
    raise KeyboardInterrupt
