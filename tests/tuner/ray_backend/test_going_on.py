"""A search that was killed at any event of its log comes to the same end as one that was not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_searches import tiny_space, write_space

from search_spaces.space import Space, load_space
from trainable.config import TrialConfig
from trainable.metrics import parse_objective
from tuner.ray_backend.allowance import Allowance
from tuner.ray_backend.driver import Driver, search_driver
from tuner.ray_backend.worker import Assignment
from tuner.records import TrialRecord
from tuner.replay import replay
from tuner.store import Event, Store

EPOCHS, TRIALS = 4, 14
SCHEDULERS: Mapping[str, Any] = {
    "none": "none",
    "asha": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 2},
    "pausing_asha": {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2},
    "eager": {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2, "eager": True},
    "one_epoch": {"kind": "one_epoch", "keep": 3},
}
AXES = {
    "optimizer.lr": {"float": [1e-4, 1e-1], "log": True},
    "freeze": {"choice": [0, 1, 2, 3]},
    "head.kind": {"choice": ["linear", "mlp"]},
}
GRID = {"freeze": {"choice": [0, 1, 2, 3]}, "optimizer.lr": {"choice": [1e-3, 1e-2, 1e-1]}}


def score(config: TrialConfig, epoch: int) -> float:
    distance = abs(math.log10(config.optimizer.lr) + 2.5) + 0.1 * int(config.freeze)
    return round(1 / (1 + distance) * (1 - 0.5**epoch), 6)


def told(config: TrialConfig, epoch: int) -> dict[str, Any]:
    values = [score(config, earlier) for earlier in range(1, epoch + 1)]
    return {
        "epoch": epoch,
        "step": epoch,
        "value": values[-1],
        "best_value": max(values),
        "best_epoch": 1 + values.index(max(values)),
        "val": {},
        "status": "complete" if epoch == EPOCHS else "running",
        "per_label": {},
        "labels_left_out": [],
        "thresholds": [],
        "node": "here",
    }


def train(driver: Driver, saved: dict[str, int]) -> None:
    """One worker, whose trials go on from the epochs that are saved and tell of those again."""
    while (proposal := driver.ask()) is not None:
        trial, config = proposal.trial, proposal.config
        epoch, stop = saved.get(trial, 0), False
        if epoch:
            stop = driver.report(trial, told(config, epoch))
        while not stop:
            epoch += 1
            saved[trial] = epoch
            stop = driver.report(trial, told(config, epoch))
        driver.end(trial, "complete" if epoch == EPOCHS else driver.stopped_early(trial))


def search_in(store: Store, space: Space, ahead: Mapping[str, int] = MappingProxyType({})) -> None:
    """A search's trials, from wherever its log has left them; `ahead` are epochs that were saved and not told."""
    past = list(store.events())
    saved = {event["trial"]: event["epoch"] for event in past if event["kind"] == "epoch"} | dict(ahead)
    assignment = Assignment(str(store.folder), "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)
    driver = search_driver(
        store,
        space,
        parse_objective(space.objective),
        assignment,
        trials=TRIALS,
        seed=0,
        allowance=Allowance(),
        weights_sha256={},
        split_sizes={"train": 28, "val": 6},
        past=past,
    )
    with store.lock():
        if not past:
            store.append(
                "search_started",
                scheduler=space.scheduler.model_dump(mode="json"),
                baseline=space.baseline_config().model_dump(mode="json"),
                objective={"metric": space.objective, "direction": "maximize"},
            )
        train(driver, saved)


def outcome(trial: TrialRecord) -> tuple[Any, ...]:
    return trial.id, trial.params, trial.status, trial.halted_at, [(epoch.epoch, epoch.value) for epoch in trial.epochs]


def outcomes(store: Store) -> list[tuple[Any, ...]]:
    return [outcome(trial) for trial in replay(store.events()).trials]


def write_log(folder: Path, events: list[Event]) -> Store:
    folder.mkdir(parents=True)
    half = '{"v": 1, "seq": 99, "kind": "trial_e'
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + half)
    return Store(folder)


@pytest.fixture(scope="module", params=[*SCHEDULERS, "grid"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Space, Store]:
    """A search that was not disturbed."""
    folder = tmp_path_factory.mktemp(request.param)
    sections: dict[str, Any] = {"fixed": {**tiny_space()["fixed"], "epochs": EPOCHS}, "axes": AXES}
    if request.param == "grid":
        sections |= {"axes": GRID, "sampler": "grid", "scheduler": "none"}
    else:
        sections |= {"sampler": "tpe", "scheduler": SCHEDULERS.get(request.param, "none")}
    space = load_space(write_space(folder / "space.yaml", tiny_space(**sections)))
    store = Store.create(folder, "whole")
    search_in(store, space)
    return space, store


@settings(max_examples=12, deadline=None)
@given(share=st.floats(0, 1), twice=st.floats(0, 1))
def test_killed_anywhere_it_comes_to_the_same_end(
    whole: tuple[Space, Store], tmp_path_factory: pytest.TempPathFactory, share: float, twice: float
) -> None:
    space, undisturbed = whole
    events = list(undisturbed.events())
    expected = outcomes(undisturbed)
    folder = tmp_path_factory.mktemp("cut")
    first = write_log(folder / "first", events[: 1 + round(share * (len(events) - 1))])
    search_in(first, space)
    assert outcomes(first) == expected
    resumed = list(first.events())
    second = write_log(folder / "second", resumed[: 1 + round(twice * (len(resumed) - 1))])
    search_in(second, space)
    assert outcomes(second) == expected


def test_a_trial_that_was_lost_goes_on(whole: tuple[Space, Store], tmp_path: Path) -> None:
    """Its machine was gone: that says nothing of its config."""
    space, undisturbed = whole
    events = list(undisturbed.events())
    cut = next(place for place, event in enumerate(events) if event["kind"] == "epoch" and event["trial"] == "t0003")
    lost = {"v": 1, "seq": cut + 2, "kind": "trial_ended", "trial": "t0003", "status": "lost", "error": "died"}
    store = write_log(tmp_path / "cut", [*events[: cut + 1], lost])
    search_in(store, space)
    expected = {one[0]: one for one in outcomes(undisturbed)}
    found = {one[0]: one for one in outcomes(store)}
    if space.scheduler.kind == "none":
        assert found == expected
    assert found.keys() == expected.keys()
    assert "lost" not in {status for _, _, status, *_ in found.values()}


def test_what_is_saved_and_was_not_told_is_told(whole: tuple[Space, Store], tmp_path: Path) -> None:
    """A process may be killed between writing an epoch's state and telling of it."""
    space, undisturbed = whole
    events = list(undisturbed.events())
    first_told = next(place for place, event in enumerate(events) if event["kind"] == "epoch" and event["epoch"] == 2)
    store = write_log(tmp_path / "cut", events[:first_told])
    search_in(store, space, {events[first_told]["trial"]: 2})
    assert outcomes(store) == outcomes(undisturbed)
