"""`tuner extend --epochs`: trials that go on from where others ended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_leftovers import Left, first, told
from small_searches import RunTuner

from tuner.report.best import best_yaml
from tuner.run import resume_search


def test_the_best_trials_get_more_epochs_as_trials_of_their_own(left: Left, run_tuner: RunTuner) -> None:
    store = left(len)
    before = {trial.id: trial for trial in store.record().trials}
    best = [trial.id for trial in store.record().ranked()][:2]
    ran = run_tuner("extend", store.folder, "--epochs", "+3", "--top", 2)
    assert ran.code == 0, ran.err
    record = store.record()
    children = [trial for trial in record.trials if trial.parent]
    assert [(child.id, child.parent, child.status) for child in children] == [
        (f"{parent}-e3", parent, "complete") for parent in best
    ]
    assert {trial.id: trial for trial in record.sampled} == before
    assert (record.status, record.budget, len(record.trials)) == ("complete", 6, 6)
    assert all((child.epochs_run, child.config["epochs"]) == (3, 3) for child in children)
    table = store.leaderboard_md.read_text()
    assert f"{best[0]}-e3 (3 from the end of {best[0]})" in table
    assert f"- extended: 3 more epochs for {best[0]}, {best[1]}" in table

    refused = run_tuner("extend", store.folder, "--epochs", "+10001")
    assert refused.code == 2
    assert "--epochs +10001: " in refused.err


def test_a_child_is_verified_by_training_its_parents_again(left: Left, run_tuner: RunTuner, tmp_path: Path) -> None:
    store = left(len)
    for top in (1, 5):
        ran = run_tuner("extend", store.folder, "--epochs", "+1", "--top", top)
        assert ran.code == 0, ran.err
    grandchild = next(trial for trial in store.record().trials if trial.parent and "-e1" in trial.parent)
    search = store.record()
    file = tmp_path / "child.yaml"
    file.write_text(best_yaml(search, grandchild))
    ran = run_tuner("train", file, "--verify", "--out", tmp_path / "again")
    assert ran.code == 0, ran.err
    assert not (tmp_path / "again" / "checkpoints" / "parent").exists()


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "gone"])
def test_a_child_that_was_killed_comes_to_the_same_whether_or_not_its_parent_is_kept(
    kept: bool, left: Left, run_tuner: RunTuner, tmp_path: Path
) -> None:
    store = left(len)
    before = shutil.copytree(store.checkpoints(store.record().ranked()[0].id), tmp_path / "parent")
    assert run_tuner("extend", store.folder, "--epochs", "+3", "--top", 1).code == 0
    whole, events = told(store.record()), list(store.events())
    child = next(trial for trial in store.record().trials if trial.parent)
    at = first("epoch", trial=child.id, epoch=1)(events)
    store.events_jsonl.write_text("".join(json.dumps(event) + "\n" for event in events[:at]))
    store.conclusions_md.unlink()
    for trial in (child.id, child.parent or ""):
        shutil.rmtree(store.checkpoints(trial), ignore_errors=True)
    if kept:
        shutil.copytree(before, store.checkpoints(child.parent or ""))
    resume_search(store)
    assert told(store.record()) == whole
