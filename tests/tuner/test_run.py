"""A search from its options to its folder, its trials run in this process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from small_searches import MakeSpace, tiny_space

from trainable.errors import UserError
from tuner.config import SearchConfig, parse_options
from tuner.ray_backend import slots, tune_loop, worker
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.run import run_search
from tuner.store import Event, Store

pytestmark = pytest.mark.usefixtures("_without_ray")

MakeConfig = Callable[..., SearchConfig]


@pytest.fixture
def make_config(make_space: MakeSpace, labels_csv: Path, tmp_path: Path) -> MakeConfig:
    """make_config(trials=2): a search named `new` of the tiny space."""

    def make(space: Path | None = None, data: dict[str, Any] | None = None, **options: Any) -> SearchConfig:
        given = {"name": "new", "trials": 2, "results": tmp_path / "results"} | options
        path = {"path": labels_csv} | (data or {})
        return parse_options(SearchConfig, space=str(space or make_space()), data=path, **given)

    return make


def comes_true(condition: Callable[[], bool], seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def record_of(config: SearchConfig) -> SearchRecord:
    return replay(Store(config.results / config.name).events())


def test_a_search_is_told_as_it_happens(make_config: MakeConfig) -> None:
    heard: list[Event] = []
    store = run_search(make_config(top_k=1), heard.append)
    assert heard == list(store.events())
    kinds = [event["kind"] for event in heard]
    assert kinds[0] == "search_started"
    assert kinds[1:9] == ["trial_started", "epoch", "epoch", "trial_ended"] * 2
    assert sorted(set(kinds[9:-1])) == ["model_measured", "reference_scored", "test_scored"]
    assert (heard[-1]["kind"], heard[-1]["status"]) == ("search_ended", "complete")
    start = heard[0]
    assert (start["name"], start["trials"], start["objective"]) == (
        "new",
        2,
        {"metric": "f2_macro", "direction": "maximize"},
    )
    assert start["data"]["sizes"] == {"train": 28, "val": 6, "test": 6}
    assert start["baseline"]["freeze"] == 2


def test_tables_keep_up_with_the_log(make_config: MakeConfig) -> None:
    config = make_config()
    best = config.results / "new" / "best.yaml"
    shown: list[bool] = []

    def hear(event: Event) -> None:
        if event["kind"] == "trial_ended":
            shown.append(comes_true(best.is_file))  # while the search waits for this listener

    run_search(config, hear)
    assert shown == [True, True]


def test_search_yaml_says_all_that_decided_the_search(make_config: MakeConfig, make_space: MakeSpace) -> None:
    space = make_space("mine.yaml")
    space.write_text("# a remark\n" + space.read_text())
    store = run_search(make_config(space, data={"split": "75/25", "data_seed": 3}, trials=None, seed=5, hours=1.5))
    resolved = YAML(typ="safe").load(store.search_yaml)
    assert list(resolved) == ["search", "data", "weights", "versions", "git", "code", "warm", "space"]
    search, data = resolved["search"], resolved["data"]
    assert (search["trials"], search["seed"], search["hours"], search["resources"]["threads_per_trial"]) == (
        20,
        5,
        1.5,
        1,
    )
    assert (data["task"], data["labels"], data["data_seed"]) == ("multilabel", ["blue", "green", "red"], 3)
    assert data["sizes"] == {"train": 30, "val": 10}
    assert resolved["space"] == space.read_text()
    again = SearchConfig.model_validate(search)
    assert again.data.split == "75/25"


def test_test_is_not_scored_where_there_is_none(make_config: MakeConfig) -> None:
    store = run_search(make_config(data={"split": "75/25"}))
    assert replay(store.events()).test_reads == 0


def test_a_trial_that_cannot_be_scored_leaves_a_note(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise UserError("its file is gone")

    monkeypatch.setattr(worker, "SCORING", dict.fromkeys(worker.SCORING, fail))
    record = replay(run_search(make_config()).events())
    assert record.status == "complete"
    assert {(note.trial, note.text) for note in record.notes} == {
        *((trial.id, "not scored on test: UserError: its file is gone") for trial in record.trials),
        (None, "majority was not scored: UserError: its file is gone"),
        (None, "logistic_regression was not scored: UserError: its file is gone"),
        (None, "the latency of timm:test_resnet was not measured: UserError: its file is gone"),
    }


def test_a_taken_or_bad_name_is_refused_before_any_work(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "results" / "new").mkdir(parents=True)
    for config in (make_config(Path("no-such-space")), make_config(Path("no-such-space"), name="a/b")):
        with pytest.raises(UserError) as caught:
            run_search(config)
        assert "space" not in caught.value.mistakes[0]
    assert list((tmp_path / "results").iterdir()) == [tmp_path / "results" / "new"]


def test_a_cache_without_a_proper_limit_is_refused_before_any_work(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_CACHE_GIB", "lots")
    config = make_config()
    with pytest.raises(UserError, match="THAW_CACHE_GIB='lots'"):
        run_search(config)
    assert not config.results.exists()


def test_too_few_resources_write_nothing(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:  # noqa: ARG001
        raise UserError("--gpus-per-trial 1: there are 0 GPUs; give at most 0")

    monkeypatch.setattr(slots, "Slots", refuse)
    config = make_config()
    with pytest.raises(UserError, match="0 GPUs"):
        run_search(config)
    assert not config.results.exists()


def test_an_interruption_pauses_the_search(make_config: MakeConfig) -> None:
    config = make_config(trials=5)

    def hear(event: Event) -> None:
        if event["kind"] == "trial_ended" and event["trial"] == "t0002":
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_search(config, hear)
    record = record_of(config)
    assert (record.status, record.reason, record.test_reads) == ("stopped", "interrupted", 0)
    assert len(record.trials) == 2
    assert signal.getsignal(signal.SIGTERM) == before
    assert (config.results / "new" / "best.yaml").is_file()


def test_a_second_interruption_ends_at_once_and_still_writes(make_config: MakeConfig) -> None:
    config = make_config()

    def hear(event: Event) -> None:
        if event["kind"] == "epoch":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_search(config, hear)
    record = record_of(config)
    assert (record.status, record.reason) == ("stopped", "interrupted twice")
    assert record.trials[0].epochs_run == 1


def test_a_bug_keeps_its_traceback_and_the_log_its_end(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(tune_loop, "run_phases", fail)
    config = make_config()
    with pytest.raises(RuntimeError, match="a bug"):
        run_search(config)
    record = record_of(config)
    assert (record.status, record.reason) == ("failed", "RuntimeError: a bug")


def test_hours_that_are_over_stop_the_search(make_config: MakeConfig) -> None:
    config = make_config(trials=50, hours=1e-9)
    run_search(config)
    record = record_of(config)
    assert (record.status, record.trials) == ("stopped", ())
    assert record.reason == "1e-09 hours are over; more: `tuner resume --hours`"


def test_a_search_may_run_beside_the_main_thread(make_config: MakeConfig) -> None:
    config = make_config()
    thread = threading.Thread(target=run_search, args=(config,))
    thread.start()
    thread.join()
    assert record_of(config).status == "complete"


def test_results_are_loaded_by_name_or_folder(make_config: MakeConfig) -> None:
    config = make_config(trials=1)
    store = run_search(config)
    assert Store.open("new", config.results).record() == Store.open(store.folder, Path("elsewhere")).record()
    with pytest.raises(UserError, match="did you mean 'new'"):
        Store.open("nwe", config.results)


def test_weights_are_part_of_the_record(
    make_config: MakeConfig, make_space: MakeSpace, weights_folder: Path, weights_of: Callable[[str], Any]
) -> None:
    weights = weights_of(tiny_space()["fixed"]["backbone"])
    (weights_folder / weights.path.name).write_bytes(weights.path.read_bytes())
    store = run_search(make_config(make_space(fixed={**tiny_space()["fixed"], "pretrained": True}), offline=True))
    (named,) = YAML(typ="safe").load(store.search_yaml)["weights"].values()
    assert named == {"file": str(weights_folder / weights.path.name), "sha256": weights.sha256}
    record = replay(store.events())
    assert {trial.facts["weights_sha256"] for trial in record.trials} == {weights.sha256}
    assert YAML(typ="safe").load(store.best_yaml)["provenance"]["weights_sha256"] == weights.sha256
