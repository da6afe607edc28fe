"""Whole searches, each a process of its own: what they leave behind, whatever happens to them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import pytest
from optuna.trial import TrialState
from ruamel.yaml import YAML
from small_searches import (
    Ran,
    RunningSearch,
    RunTuner,
    start_resuming,
    start_search,
    tiny_space,
    tuner_in_process,
    write_class_folders,
    write_labels_csv,
    write_space,
)
from small_trials import MEASURED, TINY

from search_spaces.space import load_space
from trainable.weights import Weights
from tuner import load
from tuner.ray_backend.study import rebuild_study
from tuner.records import SearchRecord, TrialRecord
from tuner.replay import replay
from tuner.store import Store

pytestmark = pytest.mark.real

FIXED = tiny_space()["fixed"]
NO_TEST = ("--split", "75/25")
"""Where test is of no interest, the processes that score it are not started."""


@dataclass(frozen=True)
class Done:
    """A search that has ended."""

    ran: Ran
    search: RunningSearch
    space: Path
    data: Path

    @property
    def folder(self) -> Path:
        return self.search.folder

    @property
    def record(self) -> SearchRecord:
        return replay(Store(self.folder).events())

    @property
    def trials(self) -> dict[str, TrialRecord]:
        return {trial.id: trial for trial in self.record.trials}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the searches of this file, with a cache of decoded images of its own."""
    folder = tmp_path_factory.mktemp("searches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(autouse=True)
def _cache_of_the_searches(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_CACHE", str(place / "cache"))


@pytest.fixture
def run_tuner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunTuner:
    return tuner_in_process(monkeypatch, capsys)


def _done(space: Path, data: Path, place: Path, name: str, *options: object) -> Done:
    search = start_search(space, data, place / "results", name, *options)
    return Done(search.finish(), search, space, data)


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- a multi-label table ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(place: Path) -> Done:
    """Ten random trials on a multi-label table."""
    data = write_labels_csv(place / "pictures", images=60)
    return _done(write_space(place / "tiny.yaml", tiny_space()), data, place, "pictures", "--trials", 10)


def test_a_search_leaves_all_its_files(pictures: Done) -> None:
    assert pictures.ran.code == 0, pictures.ran.err
    folder, trials = pictures.folder, pictures.trials
    assert list(trials) == [f"t{number:04}" for number in range(1, 11)]
    assert {trial.status for trial in trials.values()} == {"complete"}
    names = {"best.yaml", "leaderboard.csv", "leaderboard.md", "events.jsonl", "search.yaml", "splits.csv", "study.db"}
    assert names <= {path.name for path in folder.iterdir()}
    best = pictures.record.best
    assert best
    top = sorted(path.name for path in (folder / "top").iterdir())
    assert len(top) == 3
    assert top[0] == f"01-{best.id}.yaml"
    ranked = [trial.id for trial in pictures.record.ranked()]
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"t0001", *ranked[:3]}
    for trial in trials:
        with np.load(folder / "predictions" / f"{trial}.npz") as predictions:
            assert len(predictions["ids"]) == 9
    resolved = YAML(typ="safe").load(folder / "search.yaml")
    assert resolved["search"]["trials"] == 10
    assert resolved["data"]["hash"] == pictures.record.data["hash"]


def test_its_output_is_short_and_its_own(pictures: Done) -> None:
    assert pictures.ran.err == ""
    lines = pictures.ran.out.splitlines()
    assert len(lines) < 30
    assert lines[0].startswith("search pictures: up to 10 trials of tiny, maximize f2_macro; multilabel, 3 labels")
    assert sum(line.startswith("t00") for line in lines) == 10
    rows = sum(line.startswith("| ") for line in lines)
    assert rows in (6, 7)  # the header and five trials, and the baseline where it is not among them
    assert not any("ray::" in line or "Tune" in line for line in lines)


def test_it_leaves_no_process(pictures: Done) -> None:
    assert len(pictures.search.started) > 5
    assert pictures.search.left_over() == []


def test_test_is_read_once_by_the_best_and_the_baseline(pictures: Done) -> None:
    record = pictures.record
    best = [trial.id for trial in record.ranked()[:3]]
    reads = {trial.id: trial.test_reads for trial in record.trials if trial.test_reads}
    assert reads == dict.fromkeys({*best, "t0001"}, 1)
    assert f"test_reads: {len(reads)}" in (pictures.folder / "leaderboard.md").read_text()


def test_best_yaml_trains_to_the_same_score(pictures: Done, run_tuner: RunTuner, tmp_path: Path) -> None:
    best = pictures.folder / "best.yaml"
    ran = run_tuner("train", best, "--verify", "--out", tmp_path / "again")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1].startswith("verified: ")
    assert (tmp_path / "again" / "checkpoints" / "best.pt").is_file()

    told = YAML(typ="safe").load(best)
    told["result"]["objective"]["value"] += 1e-5
    altered = tmp_path / "altered.yaml"
    YAML().dump(told, altered)
    ran = run_tuner("train", altered, "--verify", "--out", tmp_path / "other")
    assert ran.code == 1
    assert "NOT the same" in ran.out


def test_best_yaml_is_not_trained_on_other_data(pictures: Done, run_tuner: RunTuner, tmp_path: Path) -> None:
    data = shutil.copytree(pictures.data.parent, tmp_path / "data")
    header, first, *rest = (data / "labels.csv").read_text().splitlines()
    image, _, labels = first.partition(",")
    changed = f"{image},{'green' if labels == 'red' else 'red'}"
    (data / "labels.csv").write_text("\n".join([header, changed, *rest]) + "\n")
    ran = run_tuner("train", pictures.folder / "best.yaml", "--data", data / "labels.csv", "--out", tmp_path / "again")
    assert ran.code == 2
    assert "not the data" in ran.err
    assert not (tmp_path / "again").exists()


def test_tables_are_the_same_bytes_again(pictures: Done, run_tuner: RunTuner) -> None:
    for format, stored in (("md", "leaderboard.md"), ("csv", "leaderboard.csv")):
        first = run_tuner("leaderboard", pictures.folder, "--format", format)
        second = run_tuner("leaderboard", "pictures", "--results", pictures.folder.parent, "--format", format)
        without_plots = (pictures.folder / stored).read_text().partition("\n## Plots\n")[0]
        assert first.out == second.out == without_plots


def test_show_and_ls(pictures: Done, run_tuner: RunTuner) -> None:
    shown = run_tuner("show", pictures.folder)
    assert shown.code == 0
    assert YAML(typ="safe").load(shown.out)["status"] == "complete"
    trial = json.loads(run_tuner("show", pictures.folder, "t0001", "--json").out)
    assert trial["baseline"]
    assert [epoch["epoch"] for epoch in trial["curve"]] == [1, 2]
    unknown = run_tuner("show", pictures.folder, "t0011")
    assert unknown.code == 2
    assert "no trial 't0011'" in unknown.err
    assert "pictures  complete  10/10" in run_tuner("ls", "--results", pictures.folder.parent).out


def test_predict_labels_images(pictures: Done, run_tuner: RunTuner, tmp_path: Path) -> None:
    images = sorted((pictures.data.parent / "images").iterdir())
    ran = run_tuner("predict", pictures.folder, *images[:3])
    assert ran.code == 0, ran.err
    rows = list(csv.reader(io.StringIO(ran.out)))
    assert rows[0] == ["image", "labels", "blue", "green", "red"]
    assert [row[0] for row in rows[1:]] == [str(image) for image in images[:3]]
    listed = json.loads(run_tuner("predict", pictures.folder, images[0].parent, "--format", "json").out)
    assert len(listed) == 60
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[0].read_bytes()[:100])
    empty = tmp_path / "empty"
    empty.mkdir()
    for image in (broken, tmp_path / "missing.png", empty):
        refused = run_tuner("predict", pictures.folder, image)
        assert refused.code == 2
        assert refused.err.startswith(f"error: {image}: ")
        assert refused.out == ""
    refused = run_tuner("predict", pictures.folder, images[0], "--trial", "t0042")
    assert (refused.code, "t0042" in refused.err) == (2, True)


def test_results_in_python(pictures: Done) -> None:
    result = load("pictures", pictures.folder.parent)
    header = next(csv.reader((pictures.folder / "leaderboard.csv").open()))
    frame = result.frame()
    assert list(frame.columns) == header
    assert sorted(frame["status"]) == ["complete"] * 10 + ["reference"] * 2
    assert result.record.best
    assert result.best.model_dump(mode="json") == result.record.best.config
    image = sorted((pictures.data.parent / "images").iterdir())[0]
    (prediction,) = result.predict([image])
    assert set(prediction.probabilities) == {"red", "green", "blue"}
    assert result.model("t0002").labels == ("blue", "green", "red")


def test_shuffled_test_labels_change_nothing_but_the_test_score(pictures: Done, place: Path) -> None:
    data = shutil.copytree(pictures.data.parent, place / "shuffled")
    rows = list(csv.DictReader((pictures.folder / "splits.csv").open()))
    test = [row["labels"] for row in rows if row["split"] == "test"]
    random.Random(1).shuffle(test)
    lines = ["image,labels,split"]
    for row in rows:
        labels = json.loads(test.pop() if row["split"] == "test" else row["labels"])
        lines.append(f"{row['image']},{';'.join(labels)},{row['split']}")
    (data / "labels.csv").write_text("\n".join(lines) + "\n")
    shuffled = _done(pictures.space, data / "labels.csv", place, "shuffled", "--trials", 10, "--workers", 1)
    assert shuffled.ran.code == 0, shuffled.ran.err

    assert _told(shuffled) == _told(pictures)
    assert shuffled.record.ranks() == pictures.record.ranks()
    best, before = (YAML(typ="safe").load(done.folder / "best.yaml") for done in (shuffled, pictures))
    assert best["config"] == before["config"]
    tested = {trial.id: trial.test for trial in pictures.record.trials if trial.test}
    assert {trial.id: trial.test for trial in shuffled.record.trials if trial.test} != tested


def _told(done: Done) -> dict[str, Any]:
    """All that trials did, but times, memory and test."""
    told: dict[str, Any] = {}
    for trial in done.record.trials:
        epochs = [
            {name: value for name, value in vars(epoch).items() if name not in (*MEASURED, "time")}
            for epoch in trial.epochs
        ]
        told[trial.id] = (trial.number, trial.config, trial.params, trial.status, trial.freeze_blocks, epochs)
    return told


# --- a folder per class ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classes(place: Path) -> dict[int, Done]:
    """The same grid on a folder per class, with one worker and with two."""
    data = write_class_folders(place / "classes", images=60)
    axes = {
        "freeze": {"choice": [0, 2]},
        "optimizer.lr": {"choice": [1e-4, 1e-2]},
        "schedule.kind": {"choice": ["constant", "cosine"]},
    }
    space = write_space(
        place / "grid.yaml",
        tiny_space(sampler="grid", objective="f1_macro", axes=axes, fixed={**FIXED, "augment": "light"}),
    )
    return {
        workers: _done(space, data, place, f"classes{workers}", *NO_TEST, "--workers", workers) for workers in (1, 2)
    }


def test_a_grid_is_tried_whole_after_its_baseline(classes: dict[int, Done]) -> None:
    for done in classes.values():
        assert (done.ran.code, done.ran.err) == (0, "")
        assert len(done.trials) == 9
        assert done.trials["t0001"].baseline
        assert len({json.dumps(trial.params, sort_keys=True) for trial in done.record.trials[1:]}) == 8
        assert done.search.left_over() == []


def test_one_worker_and_two_come_to_the_same_records(classes: dict[int, Done]) -> None:
    assert _told(classes[1]) == _told(classes[2])
    one, two = (list(csv.DictReader((classes[n].folder / "leaderboard.csv").open())) for n in (1, 2))
    assert [{name: cell for name, cell in row.items() if name not in MEASURED} for row in one] == [
        {name: cell for name, cell in row.items() if name not in MEASURED} for row in two
    ]


def test_a_search_comes_to_the_same_records_through_kills_and_a_torn_line(
    classes: dict[int, Done], place: Path
) -> None:
    """A worker is killed, then the driver amid a line of its log; `benchmarks.chaos` is the long form."""
    done = classes[2]
    search = start_search(done.space, done.data, place / "results", "killed", *NO_TEST, "--workers", 2)
    search.wait_for(lambda event: event["kind"] == "epoch")
    for worker in search.workers():
        worker.kill()
    search.wait_for(lambda event: event["kind"] == "trial_resumed")
    search.wait_for(lambda event: event["kind"] == "trial_ended" and event["trial"] == "t0003")
    workers = search.workers()
    search.process.kill()
    search.process.communicate(timeout=60)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    before = search.events()
    assert replay(before).status == "running"
    with (search.folder / "events.jsonl").open("a") as log:
        log.write(json.dumps(before[-1])[:40])

    resumed = start_resuming(search.folder)
    assert (ran := resumed.finish()).code == 0, ran.err
    assert resumed.left_over() == []
    events = search.events()
    assert events[: len(before)] == before
    assert _told(Done(ran, search, done.space, done.data)) == _told(done)
    ends = [event["trial"] for event in events if event["kind"] == "trial_ended"]
    assert sorted(ends) == sorted(set(ends))


def test_classes_train_again_to_the_same_score(classes: dict[int, Done], run_tuner: RunTuner, tmp_path: Path) -> None:
    ran = run_tuner("train", classes[1].folder / "best.yaml", "--verify", "--out", tmp_path / "again")
    assert ran.code == 0, ran.out + ran.err
    assert "verified" in ran.out


# --- halving ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halved(place: Path, pictures: Done) -> Done:
    """ASHA over trials that learn nothing, and run out of patience, and trials that do; the baseline learns nothing."""
    scheduler = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 2, "within": ["patience_epochs"]}
    space = tiny_space(
        scheduler=scheduler,
        fixed={**FIXED, "epochs": 6},
        baseline={"freeze": "all", "optimizer.lr": 1e-12},
        axes={
            "patience_epochs": {"choice": [1, 6]},
            "optimizer.lr": {"choice": [1e-12, 1e-4, 1e-3, 1e-2]},
            "head.dropout": {"float": [0.0, 0.5], "when": {"head.kind": "dropout_linear"}},
            "head.kind": {"choice": ["linear", "dropout_linear"]},
        },
    )
    path = write_space(place / "halving.yaml", space)
    return _done(path, pictures.data, place, "halved", *NO_TEST, "--trials", 16, "--seed", 3, "--workers", 1)


def test_pruned_and_early_stopped_trials_have_their_states(halved: Done) -> None:
    assert (halved.ran.code, halved.ran.err) == (0, "")
    trials = halved.trials
    assert {trial.status for trial in trials.values()} == {"complete", "pruned", "early_stopped"}
    assert trials["t0001"].status in ("complete", "early_stopped")
    states = {"complete": TrialState.COMPLETE, "early_stopped": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    study = _study(halved.folder)
    assert {row.user_attrs["trial"]: row.state for row in study} == {
        id: states[trial.status] for id, trial in trials.items()
    }
    for id, trial in trials.items():
        if trial.status == "pruned":
            assert trial.epochs_run in (1, 2, 4), id
            assert trial.error is None


def test_study_db_may_be_deleted(halved: Done, run_tuner: RunTuner) -> None:
    before = _study(halved.folder)
    table = (halved.folder / "leaderboard.csv").read_text()
    best = (halved.folder / "best.yaml").read_text()
    (halved.folder / "study.db").unlink()
    assert run_tuner("leaderboard", halved.folder, "--format", "csv").out == table
    assert (halved.folder / "best.yaml").read_text() == best
    rebuild_study(halved.folder / "study.db", Store(halved.folder).events(), load_space(halved.space))
    after = _study(halved.folder)
    for row, again in zip(before, after, strict=True):
        assert (row.state, row.values, row.params, row.user_attrs) == (
            again.state,
            again.values,
            again.params,
            again.user_attrs,
        )
        assert row.intermediate_values == again.intermediate_values


def _study(folder: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{folder / 'study.db'}")
    return study.get_trials()


# --- trials that go wrong --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def troubled(place: Path, pictures: Done, weights_of: Callable[[str], Weights]) -> Done:
    """The baseline's worker is killed, the weights of later trials vanish, and some heads learn at an absurd rate."""
    weights = place / "weights"
    weights.mkdir()
    file = Path(shutil.copy(weights_of(TINY).path, weights))
    fixed = {**FIXED, "epochs": 5, "freeze": 0, "optimizer.kind": "sgd", "optimizer.lr": 10.0}
    del fixed["pretrained"]
    space = tiny_space(
        fixed=fixed,
        baseline={"pretrained": False},
        axes={"optimizer.head_lr_multiplier": {"choice": [0.001, 1000.0]}, "pretrained": {"choice": [True, False]}},
    )
    path = write_space(place / "troubled.yaml", space)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_WEIGHTS", str(weights))
        options = (*NO_TEST, "--trials", 10, "--workers", 1, "--max-same-failures", 10)
        search = start_search(path, pictures.data, place / "results", "troubled", *options)
    search.wait_for(lambda event: event["kind"] == "trial_started")
    file.unlink()
    search.wait_for(lambda event: event["kind"] == "epoch")
    for worker in search.workers():
        worker.kill()
    return Done(search.finish(), search, path, pictures.data)


def test_a_search_goes_on_without_the_trials_that_went_wrong(troubled: Done) -> None:
    assert troubled.ran.code == 0, troubled.ran.err
    assert troubled.ran.err == ""
    record = troubled.record
    assert record.status == "complete"
    assert len(record.trials) == 10
    assert {trial.status for trial in record.trials} == {"failed", "pruned", "complete"}
    assert troubled.search.left_over() == []


def test_each_tells_why(troubled: Done) -> None:
    for trial in troubled.record.trials:
        if trial.status == "complete":
            assert trial.error is None
            continue
        assert trial.error
        assert len(trial.error.splitlines()) == 1
        if trial.config["pretrained"]:
            assert trial.status == "failed"
            assert "timm_test_resnet.pth" in trial.error
        else:
            assert trial.status == "pruned"
            assert "diverged" in trial.error or "not a number" in trial.error
    table = (troubled.folder / "leaderboard.md").read_text()
    assert "timm_test_resnet.pth" in table
    assert "Traceback" not in table
    failed = {trial.id for trial in troubled.record.trials if trial.status == "failed"}
    assert failed == {row.user_attrs["trial"] for row in _study(troubled.folder) if row.state is TrialState.FAIL}


def test_a_trial_whose_process_was_killed_goes_on_in_another_one(troubled: Done) -> None:
    assert troubled.trials["t0001"].status == "complete"
    resumed = [event for event in troubled.search.events() if event["kind"] == "trial_resumed"]
    assert [(event["trial"], event["reason"]) for event in resumed] == [("t0001", "the worker process died")]


# --- refusals --------------------------------------------------------------------------------------------------------


def test_more_gpus_than_there_are_are_refused_before_anything_is_written(place: Path, pictures: Done) -> None:
    search = start_search(pictures.space, pictures.data, place / "nowhere", "greedy", "--gpus-per-trial", 99)
    ran = search.finish()
    assert ran.code == 2
    assert ran.err.startswith("error: --gpus-per-trial 99: no node has more than ")
    assert len(ran.err.splitlines()) == 1
    assert not (place / "nowhere").exists()
    assert search.left_over() == []


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["ctrl_c", "sigterm", "tuner_stop"])
def test_an_interrupted_search_leaves_order(by: str, place: Path, pictures: Done, run_tuner: RunTuner) -> None:
    space = write_space(place / "long.yaml", tiny_space(fixed={**FIXED, "epochs": 500}))
    name = f"interrupted_by_{by}"
    workers = 1 if by == "sigterm" else 2
    last = f"t{workers:04}"
    search = start_search(space, pictures.data, place / "results", name, "--workers", workers)
    search.wait_for(lambda event: event["kind"] == "epoch" and event["trial"] == last)
    if by == "ctrl_c":  # as a terminal does it: to every process of the group
        os.killpg(search.process.pid, signal.SIGINT)
    elif by == "sigterm":
        search.process.terminate()
    else:
        assert run_tuner("stop", search.folder).code == 0
    ran = search.finish(seconds=60)
    assert ran.code == 130, ran.err
    assert ran.err == f"interrupted; what finished is in {search.folder}; `tuner resume` goes on\n"
    assert search.left_over() == []

    events = search.events()
    assert events[-1]["kind"] == "search_ended"
    reason = "stopped by `tuner stop`" if by == "tuner_stop" else "interrupted"
    assert (events[-1]["status"], events[-1]["reason"]) == ("stopped", reason)
    record = replay(events)
    assert {trial.status for trial in record.trials} == {"paused"}
    assert all(trial.epochs_run for trial in record.trials)
    assert last in (search.folder / "leaderboard.md").read_text()
    for trial in record.trials:
        assert (search.folder / "checkpoints" / trial.id / "last.pt").is_file()

    before = _files(search.folder)
    refused = run_tuner("search", space, "--data", pictures.data, "--name", name, "--results", place / "results")
    assert refused.code == 2
    assert "nothing is overwritten" in refused.err
    assert _files(search.folder) == before
