"""A plan as text and data, from numbers that are given."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from small_searches import tiny_space

from search_spaces.document import parse_yaml, write_yaml
from search_spaces.space import read_space
from trainable.measure import BlockSize, BlockTime
from tuner.planning.costs import BackboneCost
from tuner.planning.device import Basis
from tuner.planning.plan import Means, Plan
from tuner.planning.told import to_data, told
from tuner.ray_backend.resources import MemoryKey

MODEL = ("lite0", 96)
SMALL, LARGE = (MemoryKey("lite0", "fp32", 96, images, 0) for images in (32, 4096))
COST = BackboneCost(
    "lite0", 96, 3_400_000, 12.3, 0.1, 1,
    (BlockTime(0.01, 0.04, 0.0), BlockTime(0.0, 0.0, 0.0)),
    (BlockSize(3_400_000, 4000, 8000), BlockSize(0, 400, 0)),
    0.0, {SMALL: 1.5, LARGE: float("inf")}, 32, 2.5,
)  # fmt: skip
MEANS = Means(3590.0, 7200.0, {MODEL: 7200.0}, 6.0, {1: 6.0, 3: 2.0}, 10.0, 2**31, 2**20, {}, False)


@pytest.fixture
def plan() -> Plan:
    data: Any = SimpleNamespace(split_sizes={"train": 70, "val": 15}, labels=("red", "green"))
    return Plan(
        space=read_space(parse_yaml(write_yaml(tiny_space()), "tiny.yaml")),
        data=data,
        basis=Basis("NVIDIA X", 1, datetime(2026, 1, 2, 9, 30), 2, "GPU", 0.5, 12.0),
        costs={MODEL: COST},
        trials_asked=6,
        epochs_unhalved=18.0,
        shared=MEANS,
        unshared=replace(MEANS, seconds=35_990.0, trial_seconds=72_000.0),
        image_bytes=2**29,
        left_out=0.0,
        never_trained=(),
    )


def test_hours_are_of_the_gpus_that_trials_have(plan: Plan) -> None:
    lines = [line.split() for line in told(plan).splitlines()]
    assert ["features", "shared", "1", "1", "h", "00", "min", "Fri", "10:30"] in lines
    assert ["features", "computed", "anew", "each", "epoch", "10", "10", "h", "00", "min", "Fri", "19:30"] in lines
    assert ["10", "epochs", "in", "all;", "18", "if", "no", "trial", "were", "halted"] in lines


def test_what_cannot_fit_is_named_with_the_remedy(plan: Plan) -> None:
    text = told(plan)
    assert "memory: at most 1.5 GiB a trial, measured (lite0 at 96 px, 0 blocks frozen, 32 images at once)" in text
    assert "cannot fit: lite0 at 96 px, 0 blocks frozen, 4096 images at once: takes more than 12 GiB; lower" in text


def test_what_is_computed_again_is_named_with_its_reason(plan: Plan) -> None:
    again = replace(plan, shared=replace(MEANS, recomputed={(MODEL, 1): "the cache is full"}))
    assert "computed again each time: features of lite0 at 96 px after 1 block, since the cache is full" in told(again)
    assert "disk: decoded images 512 MiB, features 2 GiB, checkpoints at most 1 MiB" in told(again)


def test_a_limit_that_ends_it_early_and_what_limits_rule_out_are_told(plan: Plan) -> None:
    short = replace(plan, shared=replace(MEANS, cut_short=True))
    text = told(replace(short, never_trained=("lite2 is never trained",), left_out=0.5))
    assert "the limit ends it early: 6.0 of 6 trials begin" in text
    assert "limit: lite2 is never trained\nlimits leave out 50% of what is drawn" in text


def test_numbers_are_the_basis_and_strict_json(plan: Plan) -> None:
    found = json.loads(json.dumps(to_data(plan), allow_nan=False))
    assert [(row["gib"], row["fits"]) for row in found["memory"]] == [(1.5, True), (None, False)]
    assert found["basis"]["time"] == "2026-01-02T09:30:00"
    assert found["shared"]["trials_by_epochs"] == {"1": 6.0, "3": 2.0}
