from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from search_spaces.space import Space
from tuner.ray_backend.importance import importances_of, stored_importances
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.store import Store

AXES: dict[str, Any] = {
    "optimizer.lr": {"float": [1e-5, 1e-1], "log": True},
    "batch_size": {"int": [8, 64]},
    "augment": {"choice": ["none", "light"]},
}
CONDITIONAL = AXES | {
    "head.kind": {"choice": ["linear", "mlp"]},
    "head.width": {"int": [64, 512], "log": True, "when": {"head.kind": ["mlp"]}},
}


def space(axes: dict[str, Any]) -> Space:
    return Space.model_validate(
        {"version": 1, "scheduler": "none", "fixed": {"backbone": "resnet18"}, "baseline": {}, "axes": axes}
    )


def searched(axes: dict[str, Any], trials: int, constant: bool = False) -> SearchRecord:
    """Trials drawn at random, of which the batch size alone decides the value."""
    rng = random.Random(0)
    found = []
    for number in range(trials):
        params = space(axes).draw(rng)
        value = 0.5 if constant else params["batch_size"] / 64
        epoch = EpochRecord(epoch=1, step=1, value=value, best_value=value, best_epoch=1)
        found.append(TrialRecord(f"t{number:04}", number, params=params, status="complete", epochs=(epoch,)))
    return SearchRecord(trials=tuple(found), metric="f1_macro")


@pytest.mark.parametrize(
    ("axes", "trials", "method"), [(AXES, 40, "fANOVA"), (CONDITIONAL, 60, "PED-ANOVA"), (AXES, 501, "PED-ANOVA")]
)
def test_the_axis_that_decides_comes_first(axes: dict[str, Any], trials: int, method: str) -> None:
    found = importances_of(searched(axes, trials), space(axes))
    assert (found.method, found.trials, found.conditional, found.reason) == (method, trials, "when" in str(axes), "")
    assert next(iter(found.shares)) == "batch_size"
    assert found.shares.keys() <= axes.keys()
    assert sum(found.shares.values()) == pytest.approx(1)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)


def test_the_same_trials_give_the_same_numbers() -> None:
    record = searched(AXES, 20)
    assert importances_of(record, space(AXES)) == importances_of(record, space(AXES))


def test_without_ground_there_are_none_and_a_reason() -> None:
    few = importances_of(searched(AXES, 9), space(AXES))
    assert (few.shares, few.reason) == ({}, "fewer than 10 trials have finished")
    constant = importances_of(searched(AXES, 12, constant=True), space(AXES))
    assert (constant.shares, constant.reason) == ({}, "all trials have the same value")
    single = {"batch_size": AXES["batch_size"], "augment": {"choice": ["none"]}}
    assert importances_of(searched(single, 20), space(single)).shares["batch_size"] == pytest.approx(1)


def test_an_axis_of_one_option_alone_makes_no_difference() -> None:
    axes = {"augment": {"choice": ["none"]}}
    record = searched(AXES, 20)
    trials = tuple(
        TrialRecord(t.id, t.number, params={"augment": "none"}, status=t.status, epochs=t.epochs) for t in record.trials
    )
    found = importances_of(SearchRecord(trials=trials), space(axes))
    assert (found.shares, found.reason) == ({}, "no axis made a difference")


def test_trials_that_did_not_finish_or_left_the_axes_do_not_count() -> None:
    record = searched(AXES, 20)
    pruned = [TrialRecord(t.id, t.number, params=t.params, status="pruned", epochs=t.epochs) for t in record.trials[:4]]
    outside = TrialRecord("t0100", 100, params={"batch_size": 8}, status="complete", epochs=record.trials[0].epochs)
    found = importances_of(SearchRecord(trials=(*pruned, *record.trials[4:], outside)), space(AXES))
    assert found.trials == 16


def test_the_stored_space_is_read_with_its_overrides(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "small")
    source = space(CONDITIONAL).to_yaml().replace("baseline: {}", "baseline: {image_size: 96}")
    with store.search_yaml.open("w") as file:
        YAML().dump({"search": {"overrides": {"image_size": ["96=64"]}}, "space": source}, file)
    assert stored_importances(store, searched(CONDITIONAL, 40)).trials == 40
    store.search_yaml.write_text("search: {}\n")
    found = stored_importances(store, searched(CONDITIONAL, 40))
    assert found.shares == {}
    assert found.reason.startswith("its space cannot be read: ")
