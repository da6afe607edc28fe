"""`tuner retrain`: the winner on more images, what it leaves, and what it refuses."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_searches import MakeSpace, RunTuner, tiny_space
from small_trials import TINY, learnt_weights, model_of

from trainable.checkpoint import load_checkpoint
from trainable.errors import UserError
from tuner.interruption import stop_search
from tuner.records import TrialRecord
from tuner.result import Result, load, search
from tuner.shipping.retraining import retrain_model
from tuner.store import Store


def best_of(result: Result) -> TrialRecord:
    best = result.record.best
    assert best
    return best


def files_of(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, but the lock, which every writer leaves."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_the_winner_on_train_and_val(fitted: Result, labels_csv: Path, run_tuner: RunTuner) -> None:
    best, reads = best_of(fitted), fitted.record.test_reads
    table, others = fitted.store.leaderboard_md.read_text(), files_of(fitted.store.top)
    ran = run_tuner("retrain", fitted.store.folder)
    assert ran.code == 0
    steps = 3 * best.best_epoch  # 28 training images in batches of 12, the last of 4
    (made,) = fitted.record.retrained
    assert (made.trial, made.splits, made.steps) == (best.id, ("train", "val"), steps)
    assert made.folder == f"retrained/{best.id}-train-val"
    assert fitted.record.test_reads == reads + 1
    counted = table.replace(f"test_reads: {reads}", f"test_reads: {reads + 1}")
    assert fitted.store.leaderboard_md.read_text() == counted != table
    assert files_of(fitted.store.top) == others
    assert f"{best.id} was retrained on train + val" in (fitted.store.folder.parent / "JOURNAL.md").read_text()

    lines = ran.out.splitlines()
    assert len(lines) == math.ceil(best.best_epoch or 0) + 2
    assert f": {steps} steps, train loss " in lines[-3]
    assert lines[-1] == f"test f2_macro {made.test['f2_macro']:.4f}; test was read {reads + 1} times so far"

    folder = fitted.store.folder / made.folder
    assert set(files_of(folder)) == {"checkpoints/best.pt", "predictions.test.npz"}
    assert len(np.load(folder / "predictions.test.npz")["ids"]) == 6
    trained = load_checkpoint(folder / "checkpoints" / "best.pt")
    searched = load_checkpoint(fitted.store.checkpoints(best.id) / "best.pt")
    assert trained["best"]["thresholds"] == searched["best"]["thresholds"]
    assert trained["config"] == searched["config"]
    image = labels_csv.parent / "images" / "000.png"
    said = [
        json.loads(run_tuner("predict", fitted.store.folder, image, "--format", "json", *more).out)
        for more in ([], ["--retrained"])
    ]
    assert said[0][0]["probabilities"] != said[1][0]["probabilities"]


def test_on_all_data_without_a_score(fitted: Result, run_tuner: RunTuner) -> None:
    reads = fitted.record.test_reads
    ran = run_tuner("retrain", fitted.store.folder, "--trial", "t0001", "--all-data")
    (made,) = fitted.record.retrained
    assert (ran.code, made.trial, made.splits, made.test) == (0, "t0001", ("train", "val", "test"), {})
    assert made.folder == "retrained/t0001-train-val-test"
    assert "f2_macro" not in ran.out
    assert fitted.record.test_reads == reads
    both = fitted.retrain("t0001")  # another one, beside it
    other = fitted.store.folder / both.folder / "checkpoints" / "best.pt"
    assert not np.array_equal(
        model_of(other)["head.weight"],
        model_of(fitted.store.folder / made.folder / "checkpoints" / "best.pt")["head.weight"],
    )


def test_the_same_again_is_refused(fitted: Result, run_tuner: RunTuner) -> None:
    fitted.retrain()
    before = files_of(fitted.store.folder)
    ran = run_tuner("retrain", fitted.store.folder)
    assert ran.code == 2
    assert "exists, and nothing is overwritten; `--retrained` of predict and export uses it" in ran.err
    assert files_of(fitted.store.folder) == before


@pytest.mark.parametrize("ending", [KeyboardInterrupt, MemoryError])
def test_nothing_stays_of_an_interrupted_one(ending: type[BaseException], fitted: Result) -> None:
    def interrupt(_: object) -> None:
        raise ending

    before = files_of(fitted.store.folder)
    with pytest.raises(ending):
        retrain_model(fitted.store, listen=interrupt)
    assert files_of(fitted.store.folder) == before
    assert fitted.retrain().steps > 0


def test_it_is_not_stopped_as_a_search(fitted: Result) -> None:
    def stop(_: object) -> None:
        stop_search(Store(fitted.store.folder), wait_seconds=0)

    with pytest.raises(UserError, match=r"it is held by process .*, which runs `tuner retrain`"):
        retrain_model(fitted.store, listen=stop)


def test_a_running_search_is_left_alone(fitted: Result) -> None:
    with Store(fitted.store.folder).lock(), pytest.raises(UserError, match="search 'fitted' is being run by process"):
        fitted.retrain()
    assert not (fitted.store.folder / "retrained").exists()


def test_a_changed_split_is_refused(fitted: Result) -> None:
    splits = fitted.store.splits
    splits.write_text(splits.read_text().replace(",val,", ",train,", 1))
    with pytest.raises(UserError, match=r"splits\.csv: not the data that the search was run on \(hash "):
        fitted.retrain()
    assert not (fitted.store.folder / "retrained").exists()


@pytest.mark.usefixtures("_without_ray")
def test_other_weights_and_a_missing_split_are_refused(
    make_space: MakeSpace, class_folders: Path, weights_folder: Path, tmp_path: Path
) -> None:
    learnt_weights(TINY, weights_folder)
    space = make_space(objective="accuracy", fixed=tiny_space()["fixed"] | {"pretrained": True})
    options = {"trials": 1, "results": tmp_path / "results", "data_options": {"split": "70/30"}}
    result = search(space, class_folders, "classes", **options)
    with pytest.raises(UserError, match="has no test split: train and val are all its data; drop --all-data"):
        result.retrain(all_data=True)
    made = result.retrain()
    assert (made.splits, made.test) == (("train", "val"), {})

    copy = load(shutil.copytree(result.store.folder, tmp_path / "results" / "copy"))
    shutil.rmtree(copy.store.folder / "retrained")
    (file,) = weights_folder.iterdir()
    file.unlink()
    other = tmp_path / "other"
    other.mkdir()
    changed = learnt_weights(TINY, other).path
    changed.write_bytes(changed.read_bytes() + b"\0")
    changed.rename(file)
    with pytest.raises(UserError, match="not the weights that trial t0001 was trained from"):
        copy.retrain()
