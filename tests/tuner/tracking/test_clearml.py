"""ClearML through its real SDK, over HTTP, to a fake of its server that is as strict."""

from __future__ import annotations

import json
import re

import pytest
from fake_clearml import FakeClearML, Fault
from shown_search import predict, show_once
from told_search import ToldSearch

from tuner.links import read_links
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.report.leaderboard import to_csv, to_markdown
from tuner.tracking.clearml.server import Server
from tuner.tracking.clearml.tracker import ClearMLTracker
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import News, UnreachableError


@pytest.fixture
def shown(told: ToldSearch, fake: FakeClearML) -> FakeClearML:
    """A search of four trials that ended each in its own way, as the server has it."""
    told.begin(task="multilabel", git="0123abc+", versions={"python": "3.11.7", "torch": "2.9.0"})
    told.trial("t0001", 0, 0.5, 0.6, baseline=True)
    told.trial("t0002", 1, 0.3, status="pruned", lr=0.2)
    told.begin_trial("t0003", 2, 0.3)
    told.end_trial("t0003", "failed", "CUDA out of memory: tried to allocate 3 GiB")
    told.trial("t0004", 3, 0.7, 0.8, 0.75, status="early_stopped", lr=0.4)
    told.store.append("test_scored", "t0004", test={"f2": 0.72})
    told.end()
    told.store.leaderboard_md.write_text("# flowers")
    (told.store.folder / "conclusions.md").write_text("conclusions")
    for trial in ("t0001", "t0004"):
        told.store.best_checkpoint(trial).parent.mkdir(parents=True)
        told.store.best_checkpoint(trial).write_bytes(trial.encode())
    predict(told.store.predictions("t0001"), [[1, 1], [0, 0], [1, 0]], [[2, 1], [-3, -1], [-1, -2]])
    predict(told.store.predictions("t0004"), [[1, 0], [0, 1], [1, 1]], [[2, -1], [-3, 1], [1, 2]])
    predict(told.store.test_predictions("t0004"), [[1, 0], [0, 1]], [[2, -1], [-3, 1]])
    assert show_once(told.store)
    return fake


def test_a_search_is_one_optimizer_task_with_a_task_a_trial_beneath(shown: FakeClearML) -> None:
    search = shown.named("flowers")
    assert shown.projects[search["project"]]["name"] == "Thaw/flowers"
    assert (search["type"], search["status"]) == ("optimizer", "completed")
    trials = [task for task in shown.tasks.values() if task.get("parent") == search["id"]]
    assert [trial["name"] for trial in trials] == ["t0001-lite0", "t0002-lite0", "t0003-lite0", "t0004-lite0"]
    assert {trial["type"] for trial in trials} == {"training"}


def test_trials_end_as_they_did_and_say_why(shown: FakeClearML) -> None:
    def stands(name: str) -> tuple[str, str, str]:
        task = shown.named(name)
        return task["status"], task["status_reason"], task["status_message"]

    assert stands("t0001-lite0") == ("completed", "complete", "")
    assert stands("t0002-lite0") == ("stopped", "pruned", "pruned by ASHA after 1 epochs")
    assert stands("t0003-lite0") == ("failed", "out of memory", "CUDA out of memory: tried to allocate 3 GiB")
    assert stands("t0004-lite0") == ("completed", "early stopped", "ended by its patience after 3 epochs")


def test_a_trial_has_its_config_scalars_values_and_tags(shown: FakeClearML) -> None:
    trial = shown.named("t0004-lite0")
    settings = {name: item["value"] for name, item in trial["hyperparams"]["trial"].items()}
    expected = {"backbone": "lite0", "freeze": "all", "optimizer.lr": "0.4", "micro_batch": "", "epochs": "3"}
    assert settings == expected
    scalars = shown.scalars(trial["id"])
    assert scalars["f2", "val"] == {1: 0.7, 2: 0.8, 3: 0.75}
    assert scalars["loss", "train"] == {1: 0.5, 2: 0.5, 3: 0.5}
    single = {series: values for (title, series), values in scalars.items() if title == "Summary"}
    assert single["f2"] == {-(2**31): 0.75}
    assert single["test_f2"] == {-(2**31): 0.72}
    assert trial["tags"] == ["thaw", "search:flowers", "space:quick", "backbone:lite0", "top", "early_stopped"]
    assert "baseline" in shown.named("t0001-lite0")["tags"]
    assert "top" not in shown.named("t0002-lite0")["tags"]


def test_code_and_packages_are_told(shown: FakeClearML) -> None:
    script = shown.named("t0001-lite0")["script"]
    assert script["version_num"] == "0123abc"
    assert script["requirements"]["pip"] == "# Python 3.11.7\ntorch==2.9.0"
    assert script["diff"].startswith("#")


def test_the_searchs_task_has_the_plots_that_clearml_shows_of_its_own_searches(shown: FakeClearML) -> None:
    search = shown.named("flowers")
    plots = shown.plots(search["id"])
    assert plots.keys() == {("Optimization Objective", "f2"), ("summary", "job"), ("Parallel Coordinates", "")}
    table = plots["summary", "job"]["data"][0]
    best = shown.named("t0004-lite0")["id"]
    assert table["header"]["values"][:3] == ["task", "f2", "iteration"]
    page = f"{shown.url}/projects/{search['project']}/tasks/{best}/output/log"
    assert table["cells"]["values"][0][0] == f'<a href="{page}"> t0004 </a>'
    dimensions = plots["Parallel Coordinates", ""]["data"][0]["dimensions"]
    assert [dimension["label"] for dimension in dimensions] == ["optimizer.lr", "freeze", "f2"]
    assert shown.scalars(search["id"])["remaining budget", "trials %"] == {4: 0.0}


def test_of_a_search_with_hours_their_rest_is_told_too(told: ToldSearch, fake: FakeClearML) -> None:
    told.store.search_yaml.write_text("search: {hours: 1000}\nspace: 'axes: {}'\n")
    told.begin()
    told.trial("t0001", 0, 0.5, baseline=True)
    told.end()
    assert show_once(told.store)
    scalars = fake.scalars(fake.named("flowers")["id"])
    assert (scalars["remaining budget", "trials %"], scalars["remaining budget", "time %"]) == ({1: 66.7}, {1: 100.0})


def test_tables_are_artifacts_and_the_best_models_are_models(shown: FakeClearML) -> None:
    search = shown.named("flowers")
    artifacts = {artifact["key"]: artifact for artifact in search["execution"]["artifacts"]}
    assert artifacts.keys() == {"leaderboard", "conclusions"}
    assert shown.files[artifacts["leaderboard"]["uri"].removeprefix(f"{shown.url}/")] == b"# flowers"
    assert artifacts["leaderboard"]["type_data"]["preview"] == "# flowers"
    models = {model["name"]: shown.files[model["uri"].removeprefix(f"{shown.url}/")] for model in shown.models.values()}
    assert models == {"flowers t0001-lite0": b"t0001", "flowers t0004-lite0": b"t0004"}
    (output,) = shown.named("t0004-lite0")["models"]["output"]
    assert shown.models[output["model"]]["task"] == shown.named("t0004-lite0")["id"]


def test_the_best_and_the_baseline_show_what_their_predictions_tell(shown: FakeClearML) -> None:
    plots = {name: shown.plots(shown.named(f"{name}-lite0")["id"]) for name in ("t0001", "t0002", "t0004")}
    both = {"Scores by label", "Precision-recall curve"}
    assert plots["t0001"].keys() == {(title, "val") for title in both}
    assert plots["t0004"].keys() == {(title, split) for title in both for split in ("val", "test")}
    assert not plots["t0002"]
    scores = plots["t0001"]["Scores by label", "val"]["data"][0]
    assert scores["header"]["values"] == ["label", "precision", "recall", "F1", "positives", "threshold"]
    assert list(zip(*scores["cells"]["values"], strict=True)) == [
        ("b", "1.000", "1.000", "1.000", "1", "0.50"),
        ("a &lt;b&gt;", "1.000", "0.500", "0.667", "2", "0.50"),
    ]
    curves = plots["t0001"]["Precision-recall curve", "val"]["data"]
    assert [curve["name"] for curve in curves] == ["micro (AP 0.917)", "a &lt;b&gt; (AP 1.000)", "b (AP 1.000)"]
    assert [curve["visible"] for curve in curves] == [True, "legendonly", "legendonly"]


def test_of_classes_the_confusion_is_shown(told: ToldSearch, fake: FakeClearML) -> None:
    told.begin(task="multiclass")
    told.trial("t0001", 0, 0.5, baseline=True)
    told.end()
    logits = [[2, 1], [3, 1], [1, 2], [1, 4]]
    predict(told.store.predictions("t0001"), [0, 1, 1, 1], logits)
    assert show_once(told.store)
    plot = fake.plots(fake.named("t0001-lite0")["id"])["Confusion matrix", "val"]
    (heat,) = plot["data"]
    assert (heat["type"], heat["z"], heat["y"]) == ("heatmap", [[1, 0], [1, 2]], ["a &lt;b&gt;", "b"])
    assert plot["layout"]["title"] == "75.0% of 4 images right"


def test_showing_all_of_it_again_changes_nothing(shown: FakeClearML, told: ToldSearch) -> None:
    def state() -> str:
        kept = {id: {**task, "history": None} for id, task in shown.tasks.items()}
        return json.dumps([kept, shown.models, sorted(map(str, shown.events)), sorted(shown.files)], sort_keys=True)

    before = state()
    assert show_once(told.store)
    assert state() == before
    Cursor(told.store.folder, "clearml").path.write_text(_without_progress(told))
    assert show_once(told.store)
    assert state() == before


def _without_progress(told: ToldSearch) -> str:
    """The cursor of a process that was killed before it had noted anything but its mark."""
    kept = json.loads(Cursor(told.store.folder, "clearml").path.read_text())["kept"]
    return json.dumps({"v": 1, "seq": 0, "kept": {"mark": kept["mark"]}})


def test_rows_of_the_leaderboard_lead_to_tasks(shown: FakeClearML, told: ToldSearch) -> None:
    record = told.store.record()
    best, first = (shown.named(name)["id"] for name in ("t0004-lite0", "t0001-lite0"))
    project = shown.named("flowers")["project"]
    markdown = to_markdown(record)
    assert f"[t0004]({shown.url}/projects/{project}/tasks/{best}/output/log)" in markdown
    assert f"{shown.url}/projects/{project}/compare-tasks;ids={first},{best}/scalars/graph" in markdown
    assert f"{shown.url}/projects/{project}/tasks/{best}/output/log" in to_csv(record)


def test_a_search_that_goes_on_is_the_same_tasks(shown: FakeClearML, told: ToldSearch) -> None:
    search = shown.named("flowers")["id"]
    told.store.append("search_resumed", trials=5, changes=[], granted={})
    told.trial("t0005", 4, 0.9)
    told.store.append("trial_resumed", "t0002", reason="drawn for the audit", audit=1)
    told.epoch("t0002", 2, 0.4)
    told.end_trial("t0002")
    told.end("stopped", "stopped by `tuner stop`")
    assert show_once(told.store)
    assert [task["id"] for task in shown.tasks.values() if task["type"] == "optimizer"] == [search]
    assert len(shown.tasks) == 6
    assert (shown.tasks[search]["status"], shown.tasks[search]["status_message"]) == (
        "stopped",
        "stopped by `tuner stop`",
    )
    again = shown.named("t0002-lite0")
    assert (again["status"], again["history"]) == ("completed", ["in_progress", "stopped", "completed"])
    assert shown.scalars(again["id"])["f2", "val"] == {1: 0.3, 2: 0.4}
    assert "top" in shown.named("t0005-lite0")["tags"]
    assert "top" not in shown.named("t0001-lite0")["tags"]


@pytest.mark.parametrize("fault", ["401", "500", "503", "slow", "drop", "answer lost"])
def test_whatever_goes_wrong_everything_arrives_once(fault: Fault, told: ToldSearch, fake: FakeClearML) -> None:
    told.begin()
    told.trial("t0001", 0, 0.5, 0.6, baseline=True)
    told.trial("t0002", 1, 0.7)
    told.end()
    told.store.leaderboard_md.write_text("# flowers")
    for endpoint in ("projects.create", "tasks.create", "tasks.started", "tasks.completed", "events.add_batch"):
        fake.faults[endpoint] = [fault]
    fake.faults["tasks.edit"] = [fault]
    tries = 0
    while not show_once(told.store):
        tries += 1
        assert tries < 20
    assert sorted(task["name"] for task in fake.tasks.values()) == ["flowers", "t0001-lite0", "t0002-lite0"]
    assert {task["status"] for task in fake.tasks.values()} == {"completed"}
    assert fake.scalars(fake.named("t0001-lite0")["id"])["f2", "val"] == {1: 0.5, 2: 0.6}
    assert len(fake.projects) == 1


def test_without_a_file_server_all_but_the_files_is_shown(told: ToldSearch, fake: FakeClearML) -> None:
    told.begin()
    told.trial("t0001", 0, 0.5, baseline=True)
    told.end()
    told.store.leaderboard_md.write_text("# flowers")
    fake.has_file_server = False
    assert not show_once(told.store)
    assert fake.named("flowers")["status"] == "completed"
    assert not Cursor(told.store.folder, "clearml").is_finished
    fake.has_file_server = True
    assert show_once(told.store)
    assert fake.named("flowers")["execution"]["artifacts"][0]["key"] == "leaderboard"


def test_tasks_that_people_have_deleted_are_made_again(shown: FakeClearML, told: ToldSearch) -> None:
    del shown.tasks[shown.named("t0002-lite0")["id"]]
    told.store.append("search_resumed", trials=5, changes=[], granted={})
    told.store.append("trial_resumed", "t0002", reason="drawn for the audit", audit=1)
    told.epoch("t0002", 2, 0.4)
    told.end_trial("t0002")
    told.end()
    assert not show_once(told.store)
    assert show_once(told.store)
    again = shown.named("t0002-lite0")
    assert shown.scalars(again["id"])["f2", "val"] == {1: 0.3, 2: 0.4}
    assert again["parent"] == shown.named("flowers")["id"]


def test_tags_that_people_have_given_stay(shown: FakeClearML, told: ToldSearch) -> None:
    shown.named("t0001-lite0")["tags"].append("look at this")
    told.store.append("search_resumed", trials=5, changes=[], granted={})
    told.trial("t0005", 4, 0.9)
    told.end()
    assert show_once(told.store)
    tags = shown.named("t0001-lite0")["tags"]
    assert "look at this" in tags
    assert "top" not in tags


def test_a_trial_left_amid_training_is_stopped_there_when_its_search_is(told: ToldSearch, fake: FakeClearML) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    told.epoch("t0001", 1, 0.5)
    assert show_once(told.store)  # nobody holds the search: it was killed
    trial, search = fake.named("t0001-lite0"), fake.named("flowers")
    assert (trial["status"], search["status"]) == ("stopped", "stopped")
    assert search["status_message"] == "its process is gone"


def test_what_is_aborted_there_is_told(told: ToldSearch, fake: FakeClearML) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    told.begin_trial("t0002", 1)
    told.trial("t0003", 2, 0.5, status="pruned")
    tracker = ClearMLTracker(Server(), told.store, Cursor(told.store.folder, "clearml"))
    search = _running(told)
    tracker.show(search, News(True, {trial.id: () for trial in search.trials}))
    assert (tracker.aborted().search, tracker.aborted().trials) == (False, frozenset())
    fake.abort(fake.named("t0002-lite0")["id"])
    fake.named("t0001-lite0")["status_message"] = "stopping"  # what the server says while a worker is known to it
    assert tracker.aborted().trials == {"t0001", "t0002"}
    fake.abort(fake.named("flowers")["id"])
    assert tracker.aborted().search


def test_a_task_that_the_server_gave_up_goes_on(told: ToldSearch, fake: FakeClearML) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    tracker = ClearMLTracker(Server(), told.store, Cursor(told.store.folder, "clearml"))
    tracker.show(_running(told), News(True, {"t0001": ()}))
    reason = "Forced stop (non-responsive)"
    fake.named("t0001-lite0").update({"status": "stopped", "status_message": reason, "status_reason": reason})
    assert tracker.aborted().trials == frozenset()
    assert fake.named("t0001-lite0")["status"] == "in_progress"


def _running(told: ToldSearch) -> SearchRecord:
    return replay(told.store.events())


def test_names_are_as_long_as_they_must_be(fake: FakeClearML, told: ToldSearch) -> None:
    short = told.store.create(told.store.results, "q")
    other = ToldSearch(short)
    other.begin()
    other.end()
    assert show_once(short)
    assert fake.named("search q")["type"] == "optimizer"


def test_what_is_there_of_a_namesake_is_left_alone(shown: FakeClearML, told: ToldSearch) -> None:
    again = ToldSearch(told.store.create(told.store.results.parent / "elsewhere", "flowers"))  # type: ignore[union-attr]
    again.begin()
    again.trial("t0001", 0, 0.1)
    again.end()
    assert show_once(again.store)
    assert len([task for task in shown.tasks.values() if task["type"] == "optimizer"]) == 2
    assert len([task for task in shown.tasks.values() if task["name"] == "t0001-lite0"]) == 2
    assert len(shown.projects) == 1


def test_wrong_credentials_are_told(fake: FakeClearML, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "wrong")
    with pytest.raises(UnreachableError, match="invalid credentials"):
        Server()


def test_a_server_that_is_not_there_is_told_at_once(fake: FakeClearML) -> None:
    fake.is_up = False
    with pytest.raises(UnreachableError, match=re.escape(f"{fake.url} does not answer")):
        Server()


def test_only_what_is_on_a_server_is_linked(told: ToldSearch) -> None:
    cursor = Cursor(told.store.folder, "clearml")
    cursor.path.parent.mkdir()
    cursor.path.write_text('{"links": {"search": "javascript:alert(1)", "trials": {"t0001": "file:///x"}}}')
    assert not read_links(told.store.folder).trials
    assert not read_links(told.store.folder).search
