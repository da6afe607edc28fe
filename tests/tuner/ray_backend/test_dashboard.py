"""optuna-dashboard on a search, asked over HTTP as its page asks it."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from small_searches import tiny_space

from trainable.errors import UserError
from tuner.ray_backend import dashboard
from tuner.ray_backend.dashboard import dashboard_server, study_of
from tuner.result import Result
from tuner.store import Store

SECONDS = 60


@pytest.fixture
def store(searched: Result, tmp_path: Path) -> Store:
    """A search of four trials, all but its checkpoints."""
    folder = tmp_path / "searched"
    shutil.copytree(searched.store.folder, folder, ignore=shutil.ignore_patterns("checkpoints", "ray"))
    return Store(folder)


class Page:
    """What a browser gets."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, method: str = "GET", **headers: str) -> Any:
        asked = urllib.request.Request(self.url + path, method=method, headers=headers)
        with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
            return json.load(answer)

    def trials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/studies/1")["trials"]
        return found


@contextmanager
def page_of(store: Store) -> Iterator[Page]:
    with study_of(store) as study, dashboard_server(study, port=0) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield Page(server.server_port)
        finally:
            server.shutdown()
            serving.join()


def attributes(trial: dict[str, Any]) -> dict[str, Any]:
    return {told["key"]: json.loads(told["value"].lower()) for told in trial["user_attrs"] if told["key"] in SHOWN}


SHOWN = ("epochs_run", "seconds", "error", "baseline")


@pytest.mark.parametrize("is_there", [True, False], ids=["study_db", "no_study_db"])
def test_the_page_has_values_curves_and_attributes(store: Store, is_there: bool) -> None:
    record = store.record()
    if not is_there:
        store.study_db.unlink()
    with page_of(store) as page:
        trials, study = page.trials(), page.get("/api/studies/1")
    assert study["objective_names"] == ["f2_macro"]
    assert [trial["state"] for trial in trials] == ["Complete"] * 4
    assert [trial["values"] for trial in trials] == [[trial.best_value] for trial in record.trials]
    assert [len(trial["intermediate_values"]) for trial in trials] == [2, 2, 2, 2]
    assert [attributes(trial) for trial in trials] == [
        {"epochs_run": 2, "seconds": trial.seconds, "error": None, "baseline": trial.baseline}
        for trial in record.trials
    ]
    assert store.study_db.exists() is is_there


def test_nothing_is_changed_through_it(store: Store) -> None:
    with page_of(store) as page:
        for method in ("DELETE", "POST", "PUT"):
            with pytest.raises(urllib.error.HTTPError, match="405"):
                page.get("/api/studies/1", method)
        assert len(page.trials()) == 4


def test_other_names_of_this_machine_are_refused(store: Store) -> None:
    with page_of(store) as page:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            page.get("/api/studies", Host="evil.example:8080")
        assert page.get("/api/studies", Host="localhost:8080")["study_summaries"][0]["study_name"] == "searched"


def test_a_search_under_a_url_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dashboard, "LOOK_SECONDS", 0.02)
    monkeypatch.setenv("THAW_CACHE", str(tmp_path / "cache"))
    place = f"memory://{uuid.uuid4().hex}/results"
    store = Store.create(place, "far")
    with store.lock(), store.search_yaml.open("w") as file:
        YAML().dump({"space": json.dumps(tiny_space()), "search": {}}, file)
        store.append("search_started", name="far", objective={"metric": "f2_macro", "direction": "maximize"})
        store.append("trial_started", "t0001", number=0, params={"freeze": 2}, config={"epochs": 2})
        with page_of(Store(f"{place}/far")) as page:
            assert [trial["state"] for trial in page.trials()] == ["Running"]
            store.append("epoch", "t0001", epoch=1, step=1, value=0.5, best_value=0.5, best_epoch=1)
            store.append("trial_ended", "t0001", status="pruned", rung=1)
            until = time.monotonic() + SECONDS
            while page.trials()[0]["state"] != "Pruned" and time.monotonic() < until:
                time.sleep(0.1)
            (trial,) = page.trials()
    assert (trial["state"], trial["values"], trial["intermediate_values"]) == (
        "Pruned",
        [0.5],
        [{"step": 1, "value": 0.5}],
    )


def test_a_taken_port_is_a_line(store: Store) -> None:
    with dashboard_server(store.study_db, 0) as server, pytest.raises(UserError, match="in use; give another, or 0"):
        dashboard_server(store.study_db, server.server_port)


def test_a_study_that_cannot_be_read_is_a_line(store: Store) -> None:
    store.study_db.write_bytes(b"no database " * 100)
    with pytest.raises(UserError, match="delete it: the log has all of it"):
        dashboard_server(store.study_db, 0)


def test_a_missing_extra_is_a_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna_dashboard", None)
    with pytest.raises(UserError, match=r"pip install 'thaw-tuner\[dashboard\]'"):
        dashboard_server(store.study_db, 0)
