"""What a search's page says, of logs written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from page_logs import begin, epoch, trial

from tuner.service.page.views.curves import curves_data
from tuner.service.page.views.rungs import rungs
from tuner.service.page.views.training import in_training
from tuner.store import Store

ASHA = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path, "told")


def test_rungs_tell_who_came_who_was_halted_and_what_was_best_there(store: Store) -> None:
    begin(store, scheduler=ASHA)
    trial(store, 1, 0.3, 0.5, 0.6)
    trial(store, 2, 0.2, status="pruned", rung=1)
    trial(store, 3, 0.1, status="paused", rung=1)
    first, second = rungs(store.record())
    assert (first.epochs, first.reached, first.halted, first.waiting, first.best) == (1, 3, 1, 1, 0.3)
    assert (second.epochs, second.reached, second.halted, second.best) == (3, 1, 0, 0.6)


def test_without_halving_there_are_no_rungs(store: Store) -> None:
    begin(store, scheduler={"kind": "none"})
    trial(store, 1, 0.3)
    assert rungs(store.record()) == ()


def test_what_trains_is_told_with_what_it_takes(store: Store) -> None:
    begin(store)
    trial(store, 1, 0.3, status=None)
    epoch(
        store, 1, 2, 0.4, device="cuda:0", node="box", gpus=0.5, gpu_memory_gib=80.0, peak_memory_gib=3.2,
        images_per_second=900.0,
    )  # fmt: skip
    trial(store, 2, 0.3)
    with store.lock():
        (one,) = in_training(store.record())
    assert (one.trial, one.epoch, one.epochs, one.value) == ("t0001", 2, 9, 0.4)
    assert (one.where, one.gpus, one.memory_gib, one.memory_of_gib) == ("cuda:0, box", 0.5, 3.2, 80.0)
    assert in_training(store.record()) == ()  # nobody holds it any more


def test_curves_of_trials_that_changed_are_enough_for_a_page_that_has_the_others(store: Store) -> None:
    begin(store, scheduler=ASHA)
    trial(store, 1, 0.3, 0.5, baseline=True)
    trial(store, 2, 0.2, None, 0.4)
    record = store.record()
    whole: dict[str, Any] = curves_data(record, seq=9)
    assert [name for name, _ in whole["order"]] == ["t0001", "t0002"]
    assert {curve["trial"]: curve["values"] for curve in whole["curves"]} == {
        "t0001": [0.3, 0.5],
        "t0002": [0.2, None, 0.4],
    }
    assert (whole["rungs"], whole["epochs"], whole["seq"]) == ((1, 3), 3, 9)
    part = curves_data(record, seq=9, changed={"t0002"})
    assert part["order"] == whole["order"]
    assert [curve["trial"] for curve in part["curves"]] == ["t0002"]
    json.dumps(whole, allow_nan=False)


def test_before_the_first_value_there_is_nothing_to_draw(store: Store) -> None:
    begin(store)
    assert curves_data(store.record(), seq=1)["order"] == []
