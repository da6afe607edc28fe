"""MLflow's own client on what is shown in a database of its."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from small_logs import Told, show, whole_search

from tuner.tracking import mlflow as room
from tuner.tracking.mlflow import MLFLOW
from tuner.tracking.protocol import UnreachableError

MakeResults = Callable[[], Path]


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with tables, which take seconds to make."""
    file = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in room._SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


def prepared(told: Told, empty_database: Path) -> Told:
    folder = told.store.folder / "tracking"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return told


def client_of(told: Told) -> MlflowClient:
    return MlflowClient(f"sqlite:///{told.store.folder}/tracking/mlflow.db")


def runs(told: Told) -> dict[str, Run]:
    """By their names."""
    client = client_of(told)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments)
    named = {run.info.run_name: run for run in found}
    assert len(named) == len(found)
    return named


def curve(told: Told, run: str, metric: str) -> list[tuple[int, float]]:
    history = client_of(told).get_metric_history(runs(told)[run].info.run_id, metric)
    return [(point.step, point.value) for point in sorted(history, key=lambda point: point.step)]


@pytest.mark.real
def test_a_search_is_a_run_with_one_for_each_trial(tmp_path: Path, empty_database: Path) -> None:
    told = prepared(whole_search(tmp_path), empty_database)
    (told.store.folder / "leaderboard.md").write_text("# birds\n")
    cursor = show(told, MLFLOW, finish=True)
    found = runs(told)
    assert {name: run.info.status for name, run in found.items()} == {
        "birds": "FINISHED",
        "t0001-lite0": "FINISHED",
        "t0002-lite0": "KILLED",
        "t0003-lite0": "FAILED",
        "t0004-lite0": "FINISHED",
    }
    first = found["t0001-lite0"]
    assert first.data.params["head.kind"] == "mlp"
    assert first.data.params["optimizer.lr"] == "0.001"
    assert first.data.metrics["Summary/test_f2_macro"] == 0.375
    assert first.data.metrics["f2_macro_0.5/val"] == 0.25
    assert first.data.tags["mlflow.parentRunId"] == found["birds"].info.run_id
    assert (first.data.tags["thaw.baseline"], first.data.tags["thaw.search"]) == ("true", "birds")
    assert found["t0003-lite0"].data.tags["mlflow.note.content"] == "CUDA out of memory"
    assert curve(told, "t0004-lite0", "f2_macro/val") == [(1, 0.5), (2, 0.75)]
    assert curve(told, "t0004-lite0", "loss/train") == [(1, 0.5), (2, 0.25)]
    (artifact,) = client_of(told).list_artifacts(found["birds"].info.run_id)
    assert artifact.path == "leaderboard.md"
    assert cursor.links.trials == {}  # nothing that a browser could open


@pytest.mark.real
def test_what_a_killed_process_had_not_noted_is_shown_once(tmp_path: Path, empty_database: Path) -> None:
    told = prepared(whole_search(tmp_path), empty_database)
    show(told, MLFLOW, killed=True)
    before = {name: run.info.run_id for name, run in runs(told).items()}
    show(told, MLFLOW)
    show(told, MLFLOW)
    assert {name: run.info.run_id for name, run in runs(told).items()} == before
    assert curve(told, "t0001-lite0", "f2_macro/val") == [(1, 0.25), (2, 0.5)]
    told.store.append("test_scored", "t0001", test={"f2_macro": 0.375})
    show(told, MLFLOW)
    assert curve(told, "t0001-lite0", "Summary/f2_macro") == [(0, 0.5)]


@pytest.mark.real
def test_a_resumed_search_goes_on_in_the_same_runs(tmp_path: Path, empty_database: Path) -> None:
    told = prepared(Told(tmp_path), empty_database)
    told.epochs(told.start(1), {1: 0.25})
    told.end("t0001", "paused")
    told.finish("stopped", "interrupted")
    show(told, MLFLOW)
    assert {name: run.info.status for name, run in runs(told).items()} == {"birds": "KILLED", "t0001-lite0": "KILLED"}
    told.store.append("search_resumed", trials=3, changes=[])
    told.store.append("trial_resumed", "t0001", reason="resumed")
    told.epochs("t0001", {2: 0.5})
    show(told, MLFLOW)
    assert {run.info.status for run in runs(told).values()} == {"RUNNING"}
    assert curve(told, "t0001-lite0", "f2_macro/val") == [(1, 0.25), (2, 0.5)]


def test_a_server_that_does_not_answer_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:open-sesame@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    told = whole_search(tmp_path)
    for call in (MLFLOW.reach, lambda: show(told, MLFLOW)):
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1") as caught:
            call()
        assert "open-sesame" not in str(caught.value)
    assert MLFLOW.is_configured()


def test_it_is_configured_by_the_address_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not MLFLOW.is_configured()
    assert MLFLOW.reach() == ""
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UnreachableError, match=r"pip install 'thaw-tuner\[mlflow\]'"):
        MLFLOW.reach()
    assert "MLFLOW_TRACKING_URI" not in os.environ
