"""`tuner resume`: what was left goes on as what it was, and is refused as anything else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_searches import RunTuner, search_without_ray, tiny_space, write_labels_csv, write_space
from small_trials import MEASURED

from search_spaces.document import read_yaml
from trainable.errors import UserError
from tuner import changes
from tuner.config import SearchConfig, parse_options
from tuner.extension import Extension
from tuner.records import SearchRecord
from tuner.report.best import best_yaml
from tuner.run import resume_search, run_search
from tuner.store import Store

MEASURED_OF_TRIALS = {*MEASURED, "time", "updated"}
Left = Callable[[Callable[[list[dict[str, Any]]], int]], Store]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A finished search of four trials and two repeats; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 1e-2]}}
    space = write_space(folder / "space.yaml", tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2}))
    data = write_labels_csv(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        search_without_ray(patch)
        options: dict[str, Any] = {"name": "new", "results": folder / "results", "data": {"path": data}, "trials": 4}
        return run_search(parse_options(SearchConfig, space=str(space), reruns={"repeats": 1}, top_k=1, **options))


@pytest.fixture
def left(whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Left:
    """left(events -> how many of them): the search as a kill after that event left it."""

    def cut(place: Callable[[list[dict[str, Any]]], int]) -> Store:
        shutil.copytree(whole.folder.parent.parent, tmp_path / "copy")
        store = Store(tmp_path / "copy" / "results" / "new")
        events = list(store.events())
        kept = [json.dumps(event) + "\n" for event in events[: place(events)]]
        store.events_jsonl.write_text("".join(kept) + '{"v": 1, "seq"')
        return store

    search_without_ray(monkeypatch)
    return cut


def first(kind: str, **fields: Any) -> Callable[[list[dict[str, Any]]], int]:
    """How many events there are up to the first of this kind, itself among them."""

    def place(events: list[dict[str, Any]]) -> int:
        wanted = {"kind": kind, **fields}
        return 1 + next(at for at, event in enumerate(events) if wanted.items() <= event.items())

    return place


def told(search: SearchRecord) -> dict[str, Any]:
    """What a search came to, without what is measured anew."""
    trials = {}
    for trial in (*search.trials, *search.reruns):
        epochs = [
            {name: value for name, value in vars(epoch).items() if name not in MEASURED_OF_TRIALS}
            for epoch in trial.epochs
        ]
        trials[trial.id] = (trial.number, trial.config, trial.params, trial.status, dict(trial.test), epochs)
    references = {reference.name: (reference.val, reference.test) for reference in search.references}
    return {"trials": trials, "references": references, "status": search.status, "test_reads": search.test_reads}


@pytest.mark.parametrize(
    "place",
    [
        first("search_started"),
        first("epoch", trial="t0002", epoch=1),
        first("epoch", trial="t0003", epoch=2),
        first("trial_ended", trial="t0004"),
        first("epoch", trial="t0001-r1", epoch=1),
        first("reference_scored"),
        first("test_scored"),
    ],
    ids=["nothing_trained", "amid_a_trial", "before_its_end", "all_trained", "a_rerun", "a_reference", "a_test"],
)
def test_what_was_killed_comes_to_the_same_records(
    place: Callable[[list[dict[str, Any]]], int], left: Left, whole: Store
) -> None:
    store = left(place)
    before = store.events_jsonl.read_bytes().rpartition(b"\n")[0]
    resume_search(store)
    assert store.events_jsonl.read_bytes().startswith(before)
    found, expected = told(store.record()), told(whole.record())
    for trial, came_to in expected["trials"].items():
        assert found["trials"][trial] == came_to, trial
    assert found == expected
    assert store.leaderboard_md.is_file()
    kinds = [event["kind"] for event in store.events()]
    assert kinds.count("search_resumed") == 1
    assert kinds[-1] == "search_ended"


def test_a_search_that_is_complete_is_not_resumed(whole: Store) -> None:
    with pytest.raises(UserError, match="is complete: there is nothing to resume"):
        resume_search(whole)


def test_a_search_that_was_killed_over_its_report_gets_one(left: Left) -> None:
    store = left(len)
    store.conclusions_md.unlink()
    trials = store.record().trials
    resume_search(store)
    assert store.conclusions_md.is_file()
    assert store.record().trials == trials


def test_a_search_that_was_killed_before_its_first_event_begins(left: Left, whole: Store) -> None:
    store = left(lambda _: 0)
    resume_search(store)
    assert told(store.record()) == told(whole.record())
    store.search_yaml.unlink()
    store.conclusions_md.unlink()
    with pytest.raises(UserError, match=r"'new' was killed before it had begun: remove .* and start it again"):
        resume_search(store)


def test_other_code_is_refused_by_key_and_recorded_where_accepted(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    store = left(first("trial_ended", trial="t0004"))
    monkeypatch.setattr(changes, "versions", lambda: {**really, "torch": "9.9"})
    really = dict(store.record().versions)
    before = list(store.events())
    with pytest.raises(UserError) as caught:
        resume_search(store)
    assert list(caught.value.mistakes[1:]) == [f"versions.torch: {really['torch']} -> 9.9"]
    assert "--accept-changes" in caught.value.mistakes[0]
    assert list(store.events()) == before
    resume_search(store, accept_changes=True)
    record = store.record()
    assert record.status == "complete"
    assert [note.text for note in record.notes] == [f"resumed with a change: versions.torch: {really['torch']} -> 9.9"]


def test_another_space_and_other_images_are_refused_by_key(left: Left, whole: Store) -> None:
    store = left(first("trial_ended", trial="t0002"))
    config = (whole.folder.parent.parent / "space.yaml", whole.folder.parent.parent / "data")
    space, image = config[0], next(config[1].rglob("*.png"))
    kept_space, kept_image = space.read_bytes(), image.read_bytes()
    try:
        space.write_text(space.read_text().replace("0.01", "0.02"))
        image.write_bytes(next(other for other in config[1].rglob("*.png") if other != image).read_bytes())
        with pytest.raises(UserError) as caught:
            resume_search(store)
    finally:
        space.write_bytes(kept_space)
        image.write_bytes(kept_image)
    of_space, of_data = caught.value.mistakes[1:]
    assert of_space.startswith("space.axes.optimizer.lr.choice: ")
    assert of_data == f"data: 1 image changed: {image.relative_to(config[1])}"


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


def test_the_command_goes_on_and_tells_what_is_left(left: Left, run_tuner: RunTuner) -> None:
    store = left(first("trial_ended", trial="t0003"))
    ran = run_tuner("resume", store.folder)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("search new goes on: 3/4 trials, 3 complete")
    assert "t0004 complete" in ran.out
    assert "t0001 complete" not in ran.out
    again = run_tuner("resume", store.folder)
    assert (again.code, again.out) == (2, "")
    assert "is complete" in again.err


def test_hours_count_over_all_runs_until_more_are_given(left: Left, run_tuner: RunTuner) -> None:
    store = left(first("trial_ended", trial="t0002"))
    stored = store.search_yaml.read_text()
    assert stored.count("hours: null\n") == 2
    store.search_yaml.write_text(stored.replace("\n  hours: null\n", "\n  hours: 1.0e-9\n"))
    assert run_tuner("resume", store.folder).code == 0
    assert store.record().reason == "1e-09 hours are over; more: `tuner resume --hours`"
    assert len(store.record().trials) == 2
    refused = run_tuner("resume", store.folder, "--hours", "0")
    assert (refused.code, refused.err.startswith("error: --hours 0.0: ")) == (2, True)
    ran = run_tuner("resume", store.folder, "--hours", "2")
    assert ran.code == 0, ran.err
    assert (store.record().status, len(store.record().trials)) == ("complete", 4)
    assert "\n  hours: 2.0\n" in store.search_yaml.read_text()
    resumed = [event for event in store.events() if event["kind"] == "search_resumed"]
    assert [event["granted"] for event in resumed] == [{}, {"hours": 2}]


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


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_other_weights_are_refused(left: Left) -> None:
    store = left(first("trial_ended", trial="t0003"))
    document = read_yaml(store.search_yaml).data
    document["weights"] = {"lite0": {"file": "/somewhere/lite0.pth", "sha256": "5" * 64}}
    proved = SimpleNamespace(weights_sha256={"lite0": "6" * 64}, data=SimpleNamespace(hash=document["data"]["hash"]))
    told = list(changes.changes_since(document, store, proved))  # type: ignore[arg-type]
    assert told == [f"weights.lite0: {'5' * 64} -> {'6' * 64}"]


def test_an_extension_has_hours_of_its_own(left: Left, run_tuner: RunTuner) -> None:
    store = left(len)
    stored = store.search_yaml.read_text()
    store.search_yaml.write_text(stored.replace("\n  hours: null\n", "\n  hours: 1.0\n"))
    for more in ((), ("--hours", "3")):
        assert run_tuner("extend", store.folder, "--epochs", "+1", "--top", 1, *more).code == 0
    resumed = [event for event in store.events() if event["kind"] == "search_resumed"]
    assert [event["granted"] for event in resumed] == [{"hours": h, "gpu_hours": None} for h in (1, 3)]
