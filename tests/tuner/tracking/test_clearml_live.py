"""The tracker against a ClearML server of yours: CLEARML_API_HOST and credentials in the environment say which."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from own_environment import OWN
from shown_search import predict, show_once
from told_search import ToldSearch

from tuner.links import read_links
from tuner.store import Store

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("CLEARML_API_HOST" not in OWN, reason="no ClearML server: CLEARML_API_HOST names none"),
]


def test_a_search_is_shown_on_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OWN.items():
        if name.startswith("CLEARML_"):
            monkeypatch.setenv(name, value)
    from clearml import Task

    monkeypatch.setenv("THAW_CLEARML_PROJECT", "Thaw tests")
    told = ToldSearch(Store.create(tmp_path, f"live-{uuid.uuid4().hex[:8]}"))
    told.begin(task="multiclass", versions={"python": "3.11.7"}, git="0123abc")
    told.trial("t0001", 0, 0.5, 0.6, baseline=True)
    told.trial("t0002", 1, 0.3, status="pruned", lr=0.2)
    told.begin_trial("t0003", 2)
    told.end_trial("t0003", "failed", "CUDA out of memory")
    told.end()
    told.store.leaderboard_md.write_text("# live")
    predict(told.store.predictions("t0001"), [0, 1, 1, 1], [[2, 1], [3, 1], [1, 2], [1, 4]])
    assert show_once(told.store)
    assert show_once(told.store)

    links = read_links(told.store.folder)
    trials = {trial: Task.get_task(task_id=id) for trial, id in links.ids.items()}
    search = Task.get_task(task_id=trials["t0001"].parent)
    try:
        assert (search.get_status(), str(search.task_type)) == ("completed", "optimizer")
        assert {trial: task.get_status() for trial, task in trials.items()} == {
            "t0001": "completed",
            "t0002": "stopped",
            "t0003": "failed",
        }
        assert trials["t0001"].get_parameters()["trial/optimizer.lr"] == "0.1"
        assert trials["t0001"].get_reported_scalars()["f2"]["val"] == {"name": "val", "x": [1, 2], "y": [0.5, 0.6]}
        assert trials["t0001"].get_reported_single_values()["f2"] == 0.6
        assert {"thaw", "baseline", "top"} <= set(trials["t0001"].get_tags())
        plots = {(plot["metric"], plot["variant"]) for plot in trials["t0001"].get_reported_plots()}
        assert plots == {("Confusion matrix", "val"), ("Precision-recall curve", "val")}
        assert "leaderboard" in search.artifacts
        assert len(search.get_reported_plots()) == 3
    finally:
        for task in (*trials.values(), search):
            task.delete()
