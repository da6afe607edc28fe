"""Proving: what only shows when fields meet is found, traced to its line and said once."""

from __future__ import annotations

import pytest

from search_spaces.check import prove
from search_spaces.document import parse_yaml
from search_spaces.space import read_space
from trainable.task import Task


def proved(text: str, task: Task | None = None) -> list[str]:
    return prove(read_space(parse_yaml(f"version: 1\nscheduler: none\n{text}", "s.yaml")), task)


BASE = "fixed: {}\nbaseline: {backbone: lite0}\naxes:\n"


def test_a_freeze_that_one_backbone_has_not_the_blocks_for() -> None:
    axes = "  backbone: {choice: [lite0, resnet18, mobilenet_v3_large]}\n  freeze: {choice: [all, 3, 7, 12]}\n"
    assert proved(BASE + axes) == [
        "s.yaml:7:29 axes.freeze: option 7 with backbone resnet18: 7 is more than the 5 blocks of resnet18; "
        "give 0 to 5, or 'all'",
        "s.yaml:7:32 axes.freeze: option 12 with backbone lite0: 12 is more than the 9 blocks of lite0; "
        "give 0 to 9, or 'all' (likewise with backbone resnet18)",
    ]


def test_a_range_is_named_by_its_end_and_said_once() -> None:
    (line,) = proved(BASE + "  backbone: {choice: [lite0, resnet18]}\n  freeze: {int: [0, 9]}\n")
    assert line.startswith("s.yaml:7:3 axes.freeze: high 9 with backbone resnet18: 9 is more than the 5 blocks")


def test_a_field_of_another_kind_is_not_dragged_along() -> None:
    axes = "  head.kind: {choice: [linear, mlp]}\n  head.width: {int: [8, 16]}\n"
    fixed = "fixed: {backbone: lite0, head.dropout: 0.1}\nbaseline: {head.kind: mlp}\naxes:\n"
    assert proved(fixed + axes) == [
        "s.yaml:3:26 fixed.head.dropout: with head.kind linear: linear has no field 'dropout' (fields: kind); "
        "make it an axis, head.dropout: {choice: [0.1], when: {head.kind: [mlp]}}",
        "s.yaml:7:3 axes.head.width: with head.kind linear: linear has no field 'width' (fields: kind); "
        "add when: {head.kind: [mlp]}",
    ]
    with_when = axes.replace("16]}", "16], when: {head.kind: mlp}}")
    assert proved(BASE.replace("{}", "{backbone: lite0}") + with_when) == []


def test_the_baseline_is_proved() -> None:
    (line,) = proved("baseline: {backbone: lite0, schedule.gamma: 0.9}\naxes: {backbone: {choice: [lite0]}}\n")
    assert line.startswith("s.yaml:3:29 baseline.schedule.gamma: constant has no field 'gamma'")
    assert line.endswith("leave it out, or choose schedule.kind exponential")


def test_conditional_axes_are_reached() -> None:
    axes = (
        "  backbone: {choice: [lite0, resnet18]}\n"
        "  head.kind: {choice: [linear, mlp]}\n"
        "  augment: {choice: [none, light], when: {head.kind: mlp}}\n"
        "  freeze: {choice: [1, 9], when: {augment: light}}\n"
    )
    (line,) = proved(BASE + axes)
    assert "axes.freeze: option 9 with" in line
    assert "backbone resnet18" in line


def test_epochs_shorter_than_the_warm_up() -> None:
    (line,) = proved(
        BASE + "  backbone: {choice: [lite0]}\n  epochs: {int: [3, 9]}\n  head_warmup_epochs: {choice: [0, 5]}\n"
    )
    assert line.startswith("s.yaml:8:36 axes.head_warmup_epochs: option 5 with epochs 3: ")


@pytest.mark.parametrize("task_line", ["", "task: multiclass\n"])
def test_configs_fit_the_task(task_line: str) -> None:
    text = BASE + "  backbone: {choice: [lite0]}\n  loss.pos_weight: {choice: [none, 3]}\n"
    (line,) = proved(text + task_line, None if task_line else "multiclass")
    assert line.startswith("s.yaml:7:36 axes.loss.pos_weight: option 3: 3.0 is a number")
    assert proved(text, "multilabel") == []


def test_many_clashes_stay_a_few_lines() -> None:
    backbones = (
        "resnet18, resnet50, efficientnet_b0, efficientnet_b1, efficientnet_b2, efficientnet_b3, lite0, lite1, lite2"
    )
    found = proved(
        BASE + f"  backbone: {{choice: [{backbones}]}}\n  freeze: {{int: [0, 17]}}\n  batch_size: {{int: [1, 99]}}\n"
    )
    assert len(found) == 1
    assert len(found[0]) < 400


def test_lists_of_stages_are_told_apart() -> None:
    stages = "[[{epochs: 2}, {epochs: 3, freeze: 1}], [{epochs: 5, freeze: 2}], [{epochs: 5, freeze: 3}]]"
    axes = f"  freeze: {{choice: [all, 3, 1, 2]}}\n  stages: {{choice: {stages}}}\n"
    assert (
        "s.yaml:6:29 axes.freeze: option 1 with stages [{epochs: 5, freeze: 2}]: freeze is 1 but the last stage "
        "freezes 2: leave out freeze (likewise with stages [{epochs: 5, freeze: 3}])"
    ) in proved(f"fixed: {{backbone: lite0}}\nbaseline: {{}}\naxes:\n{axes}")
