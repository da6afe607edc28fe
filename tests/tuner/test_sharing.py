from __future__ import annotations

from typing import Any

from search_spaces.space import Space
from tuner.sharing import shared_depths


def space_of(**axes: Any) -> Space:
    fixed = {"epochs": 4, "pretrained": False} | ({} if "backbone" in axes else {"backbone": "resnet18"})
    baseline = {"freeze": 2, **({"backbone": "resnet18"} if "backbone" in axes else {})}
    return Space.model_validate({"version": 1, "scheduler": "none", "fixed": fixed, "baseline": baseline, "axes": axes})


def test_every_depth_that_a_trial_may_have() -> None:
    space = space_of(backbone={"choice": ["resnet18", "lite0"]}, freeze={"choice": [0, "50%", "all"]})
    assert shared_depths(space) == {"resnet18": [2, 5], "lite0": [4, 9]}


def test_warming_up_the_head_freezes_everything() -> None:
    space = space_of(freeze={"int": [0, 3]}, head_warmup_epochs={"choice": [0, 1]})
    assert shared_depths(space) == {"resnet18": [1, 2, 3, 5]}


def test_stages_freeze_what_each_says() -> None:
    stages = [{"epochs": 1, "freeze": 4}, {"epochs": 3, "freeze": 1}]
    assert shared_depths(space_of(stages={"choice": [stages]}))["resnet18"] == [1, 2, 4, 5]
