"""Limits: what breaks them is never a trial, and what is ruled out is said before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_searches import MakeSpace, tiny_space

from search_spaces.document import parse_yaml, write_yaml
from search_spaces.space import Space, read_space
from trainable.errors import UserError
from tuner import limits as limits_module
from tuner.config import SearchConfig, parse_options
from tuner.limits import Feasible, Footprint, Model, prove_limits
from tuner.records import ModelCost
from tuner.run import run_search

SMALL, LARGE = "lite0", "resnet18"
FOOTPRINTS: Mapping[Model, Footprint] = {
    (SMALL, 96): Footprint(ModelCost(SMALL, 96, 3_000_000, 10.0), 1280, {9: {8: 1.0, 32: 1.5}, 0: {8: 2.0, 32: 4.0}}),
    (LARGE, 96): Footprint(ModelCost(LARGE, 96, 11_000_000, 20.0), 512, {5: {8: 1.0, 32: 1.5}, 0: {8: 3.0, 32: 9.0}}),
}


def space_with(limits: Mapping[str, float], **sections: Any) -> Space:
    fields: dict[str, Any] = {
        "fixed": {"image_size": 96, "epochs": 2, "batch_size": 32},
        "baseline": {"backbone": SMALL, "freeze": "all"},
        "axes": {"backbone": {"choice": [SMALL, LARGE]}, "freeze": {"choice": ["all", 0]}},
        "limits": dict(limits),
    }
    return read_space(parse_yaml(write_yaml(tiny_space(**fields | sections)), "mine.yaml"))


def feasible_of(space: Space) -> Feasible:
    return Feasible(space, FOOTPRINTS, labels=4)


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "measure_models", lambda *_: dict(FOOTPRINTS))


@pytest.mark.parametrize(
    ("limits", "params", "broken"),
    [
        ({}, {"backbone": LARGE, "freeze": 0}, None),
        ({"parameters_m": 4}, {"backbone": SMALL, "freeze": 0}, None),
        ({"parameters_m": 4}, {"backbone": LARGE, "freeze": 0}, "11 M parameters (limits.parameters_m 4)"),
        ({"latency_ms": 20}, {"backbone": LARGE, "freeze": 0}, None),
        ({"latency_ms": 19.5}, {"backbone": LARGE, "freeze": 0}, "20 ms an image (limits.latency_ms 19.5)"),
        ({"memory_gib": 5}, {"backbone": LARGE, "freeze": "all"}, None),
        (
            {"memory_gib": 5, "latency_ms": 10},
            {"backbone": LARGE, "freeze": 0},
            "20 ms an image (limits.latency_ms 10), 9 GiB (limits.memory_gib 5)",
        ),
    ],
)
def test_a_config_is_held_against_every_limit(
    limits: dict[str, float], params: dict[str, Any], broken: str | None
) -> None:
    space = space_with(limits)
    assert feasible_of(space).breach(space.config(params)) == broken


def test_a_large_head_counts() -> None:
    space = space_with(
        {"parameters_m": 4},
        axes={"head.width": {"int": [1, 4096]}},
        fixed={
            "backbone": SMALL,
            "image_size": 96,
            "head.kind": "mlp",
            "epochs": 2,
        },
        baseline={"head.width": 8},
    )
    feasible = feasible_of(space)
    assert feasible.breach(space.config({"head.width": 8})) is None
    assert "M parameters" in str(feasible.breach(space.config({"head.width": 4096})))


def test_images_between_those_measured_take_what_lies_between() -> None:
    assert FOOTPRINTS[SMALL, 96].memory(0, 20) == 3.0


@pytest.mark.usefixtures("_measured")
def test_what_can_never_be_a_trial_is_named() -> None:
    feasible = prove_limits(space_with({"parameters_m": 4}), 4, 1)
    assert feasible.never == ["resnet18 at 96 px is never trained: 11 M parameters (limits.parameters_m 4)"]
    assert [cost.backbone for cost in feasible.costs] == [SMALL, LARGE]


@pytest.mark.usefixtures("_measured")
def test_a_baseline_that_breaks_a_limit_is_refused() -> None:
    space = space_with({"latency_ms": 15}, baseline={"backbone": LARGE, "freeze": "all"})
    with pytest.raises(UserError) as caught:
        prove_limits(space, 4, 1)
    (mistake,) = caught.value.mistakes
    assert "baseline" in mistake
    assert "20 ms an image (limits.latency_ms 15)" in mistake


@pytest.mark.usefixtures("_measured")
def test_a_space_with_nothing_left_is_told_the_least_there_is() -> None:
    with pytest.raises(UserError) as caught:
        prove_limits(space_with({"latency_ms": 5, "parameters_m": 4}), 4, 1)
    assert caught.value.mistakes[-1].endswith(
        "the least that there is: 3 M parameters (lite0 at 96 px), 10 ms an image (lite0 at 96 px)"
    )


@pytest.mark.usefixtures("_without_ray")
def test_a_search_has_no_row_that_breaks_a_limit_and_says_so(
    make_space: MakeSpace, labels_csv: Path, tmp_path: Path
) -> None:
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"float": [1e-4, 1e-2], "log": True}}
    limits = {"parameters_m": 0.3735}  # an mlp has more
    space = make_space(axes=axes, limits=limits, baseline={"freeze": 2})
    given = {"name": "new", "results": tmp_path / "results", "data": {"path": labels_csv}}
    store = run_search(parse_options(SearchConfig, space=str(space), trials=4, **given))
    search = store.record()
    assert [trial.config["head"]["kind"] for trial in search.trials] == ["linear"] * 4
    assert search.limits == limits
    (cost,) = search.model_costs
    assert search.latency_ms(search.trials[0]) == cost.latency_ms
    skipped = sum(len(trial.facts.get("skipped", ())) for trial in search.trials)
    assert skipped
    assert (
        f"limits: parameters_m 0.373; {skipped} sampled configs broke them and were left out"
        in store.leaderboard_md.read_text()
    )
