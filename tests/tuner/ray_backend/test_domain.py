from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces.axes import Value
from search_spaces.space import Space
from tuner.ray_backend.domain import Domain, state_of

TWO_STAGES = [{"epochs": 2, "freeze": "all", "lr": None}, {"epochs": 4, "freeze": 0, "lr": None}]


def space(axes: dict[str, Any]) -> Space:
    given = {"version": 1, "scheduler": "none", "fixed": {"epochs": 6, "backbone": "resnet18"}, "baseline": {}}
    return Space.model_validate(given | {"axes": axes})


AXES: dict[str, Any] = {
    "head.width": {"int": [64, 512], "log": True, "when": {"head.kind": ["mlp"]}},
    "head.kind": {"choice": ["linear", "mlp"]},
    "optimizer.lr": {"float": [1e-5, 1e-2], "log": True},
    "batch_size": {"int": [8, 30], "step": 8},
}


def test_axes_become_distributions_parents_first() -> None:
    assert dict(Domain(space(AXES)).distributions) == {
        "head.kind": CategoricalDistribution(["linear", "mlp"]),
        "head.width": IntDistribution(64, 512, log=True),
        "optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True),
        "batch_size": IntDistribution(8, 24, step=8),
    }


def test_options_that_optuna_cannot_store_are_written_out() -> None:
    domain = Domain(space({"stages": {"choice": [[], TWO_STAGES]}}))
    assert all(isinstance(label, str) for label in domain.distributions["stages"].choices)  # type: ignore[attr-defined]
    label = domain.labels({"stages": TWO_STAGES})["stages"]
    assert domain.value("stages", label) == TWO_STAGES


@pytest.mark.parametrize("option", [0, 2, "all", "50%"])
def test_plain_options_stay_as_they_are(option: Value) -> None:
    domain = Domain(space({"freeze": {"choice": [0, 2, "all", "50%"]}}))
    assert domain.labels({"freeze": option}) == {"freeze": option}
    assert domain.value("freeze", option) == option


@pytest.mark.parametrize(
    ("params", "covered"),
    [
        ({"head.kind": "linear", "optimizer.lr": 1e-3, "batch_size": 16}, True),
        ({"head.kind": "mlp", "head.width": 64, "optimizer.lr": 1e-3, "batch_size": 16.0}, True),
        ({"head.kind": "mlp", "optimizer.lr": 1e-3, "batch_size": 16}, False),
        ({"head.kind": "linear", "head.width": 64, "optimizer.lr": 1e-3, "batch_size": 16}, False),
        ({"head.kind": "linear", "optimizer.lr": 0.5, "batch_size": 16}, False),
        ({"head.kind": "linear", "optimizer.lr": 1e-3, "batch_size": 30}, False),
        ({"head.kind": "two_linear", "optimizer.lr": 1e-3, "batch_size": 16}, False),
        ({"head.kind": "linear", "optimizer.lr": 1e-3, "batch_size": 16, "freeze": 2}, False),
    ],
)
def test_only_params_that_could_be_drawn_today_are_covered(params: dict[str, Value], covered: bool) -> None:
    assert Domain(space(AXES)).covers(params) is covered


def test_labels_leave_out_what_lies_outside() -> None:
    params = {"head.kind": "linear", "head.width": 64, "optimizer.lr": 0.5, "batch_size": 16.0, "freeze": 2}
    labels = Domain(space(AXES)).labels(params)
    assert labels == {"head.kind": "linear", "batch_size": 16}
    assert type(labels["batch_size"]) is int


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("complete", TrialState.COMPLETE),
        ("early_stopped", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
        ("lost", TrialState.FAIL),
        ("of a later version", TrialState.FAIL),
        ("paused", TrialState.PRUNED),
        ("running", TrialState.RUNNING),
    ],
)
def test_statuses_have_a_state(status: str, state: TrialState) -> None:
    assert state_of(status) is state
