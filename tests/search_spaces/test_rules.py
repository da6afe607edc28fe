"""Mistakes in a space's file: each named with its line, all of them at once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.check import prove
from search_spaces.document import parse_yaml, write_yaml
from search_spaces.space import Space, read_space
from trainable.errors import UserError

HEADER = """version: 1
fixed: {epochs: 5, augment: none}
baseline: {backbone: lite0}
axes:
  backbone: {choice: [lite0, lite1]}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_space(parse_yaml(text, "s.yaml"))
    assert all("\n" not in mistake for mistake in caught.value.mistakes)
    return list(caught.value.mistakes)


@pytest.mark.parametrize(
    ("axis", "place", "part"),
    [
        ("optimizer.lr: {float: [0.1, 0.01]}", "6:3 axes.optimizer.lr: ", "low 0.1 must be below high 0.01"),
        (
            "optimizer.lr: {float: [0, 0.1], log: true}",
            "6:3 axes.optimizer.lr: ",
            "low 0 must be above 0 where log is true",
        ),
        ("optimizer.lr: {float: [-1, 0.1]}", "6:26 axes.optimizer.lr: low -1: ", "greater than 0"),
        ("optimizer.lr: {float: [1, 2, 3]}", "6:18 axes.optimizer.lr.float: ", "two numbers: [low, high]"),
        ("optimizer.lr: {float: [a, 1]}", "6:26 axes.optimizer.lr: ", "given: 'a'"),
        ("optimizer.lr: {float: [1e-4, 1e-2], lgo: true}", "6:39 axes.optimizer.lr.lgo: ", "did you mean 'log'?"),
        ("optimizer.lr: {flaot: [1e-4, 1e-2]}", "6:3 axes.optimizer.lr: ", "did you mean 'float'?"),
        ("optimizer.lr: {float: [1e-4, 1], choice: [1]}", "6:3 axes.optimizer.lr: ", "float and choice at once"),
        ("optimizer.lr: [1, 2]", "6:3 axes.optimizer.lr: ", "must be one of {float: [low, high]}"),
        ("lr: {float: [1e-4, 1e-2]}", "6:3 axes.lr: ", "did you mean 'optimizer.lr'?"),
        ("head.widht: {int: [1, 2]}", "6:3 axes.head.widht: ", "did you mean 'head.width'?"),
        ("head: {choice: [mlp]}", "6:3 axes.head: ", "name one of head.kind, head.dropout, head.width"),
        ("freeze: {float: [0, 1]}", "6:3 axes.freeze: ", "whole numbers: use {int: [low, high]}"),
        ("batch_norm: {int: [0, 1]}", "6:3 axes.batch_norm: ", "use {choice: [...]}"),
        ("batch_size: {int: [1.5, 3]}", "6:22 axes.batch_size: ", "valid integer"),
        ("batch_size: {int: [8, 16], step: 0}", "6:30 axes.batch_size.step: ", "greater than or equal to 1"),
        ("batch_size: {int: [8, 16], step: 9}", "6:3 axes.batch_size: ", "longer than the range"),
        ("batch_size: {int: [8, 16], step: 2, log: true}", "6:3 axes.batch_size: ", "exclude each other"),
        ("batch_size: {choice: []}", "6:3 axes.batch_size: ", "has no options"),
        ("batch_size: {choice: [8, 8, true]}", "6:3 axes.batch_size: ", "option 8 is given more than once"),
        ("head.kind: {choice: [linear, mpl]}", "6:32 axes.head.kind: option mpl: ", "did you mean 'mlp'?"),
        ("freeze: {choice: [all, 50, half]}", "6:30 axes.freeze: option half: ", "a share of the blocks"),
        ("epochs: {int: [3, 9]}", "6:3 axes.epochs: ", "is in fixed as well"),
        ("epochs: {int: [3, 9]}", "6:3 axes.epochs: ", "or use scheduler: none"),
        ("seed: {int: [0, 9]}", "6:3 axes.seed: ", "is not searched"),
        ("first_epoch_evaluations: {choice: [1, 4]}", "6:3 axes.first_epoch_evaluations: ", "is not searched"),
        (
            "stages: {choice: [[{epochs: 5}], [{epochs: 2}, {epochs: 4}]]}",
            "6:3 axes.stages: ",
            "trials last 5, 6 epochs, which halving needs equal",
        ),
        ("head_warmup_epochs: {choice: [0, 1]}", "1:1 scheduler.grace_epochs: ", "above head_warmup_epochs (1)"),
        ("head.width: {int: [1, 2], when: {head.knd: mlp}}", "6:36 axes.head.width.when.head.knd: ", "'head.kind'"),
        (
            "head.width: {int: [1, 2], when: {head.kind: mlp}}",
            "6:36 axes.head.width.when.head.kind: ",
            "neither an axis nor fixed",
        ),
        ("freeze: {int: [1, 2], when: {augment: light}}", "6:32 axes.freeze.when.augment: ", "it is fixed to none"),
        (
            "freeze: {int: [1, 2], when: {backbone: lite9}}",
            "6:32 axes.freeze.when.backbone: ",
            "is never lite9; did you mean",
        ),
        ("freeze: {int: [1, 2], when: {backbone: []}}", "6:32 axes.freeze.when.backbone: ", "has no values"),
        ("freeze: {int: [1, 2], when: {freeze: 1}}", "6:25 axes.freeze.when: ", "leads back to this axis"),
        (
            "freeze: {int: [1, 2], when: {backbone: lite0}}\n"
            "  patience_epochs: {int: [1, 2], when: {backbone: lite1, freeze: 1}}",
            "7:34 axes.patience_epochs.when: ",
            "is never met",
        ),
    ],
)
def test_a_mistaken_axis(axis: str, place: str, part: str) -> None:
    found = mistakes(f"{HEADER}  {axis}\n")
    assert any(line.startswith(f"s.yaml:{place}") and part in line for line in found), found


@pytest.mark.parametrize(
    ("old", "new", "place", "part"),
    [
        ("version: 1", "version: 2", "1:1 version: ", "must be 1"),
        ("version: 1", "about: x", "1:1 version: ", "write version: 1"),
        ("version: 1", "version: 1\naxis: {}", "2:1 axis: ", "did you mean 'axes'?"),
        ("version: 1", "version: 1\nobjective: f2_marco", "2:1 objective: ", "unknown metric 'f2_marco'"),
        ("version: 1", "version: 1\nobjective: 3", "2:1 objective: ", "must be text"),
        ("version: 1", "version: 1\nsampler: gird", "2:1 sampler: ", "did you mean 'grid'?"),
        ("version: 1", "version: 1\nscheduler: ahsa", "2:1 scheduler: ", "did you mean 'asha'?"),
        (
            "version: 1",
            "version: 1\nscheduler: {grace_epochs: 1}",
            "2:1 scheduler: ",
            "asha, pausing_asha, one_epoch, none",
        ),
        (
            "version: 1",
            "version: 1\nscheduler: {kind: asha, grace: 1}",
            "2:25 scheduler.grace: ",
            "it has kind, grace_epochs",
        ),
        (
            "version: 1",
            "version: 1\nscheduler: {kind: asha, grace_epochs: 5}",
            "2:25 scheduler.grace_epochs: ",
            "below epochs (5)",
        ),
        (
            "version: 1",
            "version: 1\nscheduler: {kind: asha, within: [schedule]}",
            "2:34 scheduler.within.0: ",
            "schedule.kind",
        ),
        (
            "version: 1",
            "version: 1\nscheduler: {kind: asha, grace_epochs: 1.5}",
            "2:25 scheduler.grace_epochs: ",
            "should be a whole number of epochs, or a part of the first one",
        ),
        (
            "version: 1",
            "version: 1\nscheduler: {kind: asha, grace_epochs: 0.333}",
            "2:25 scheduler.grace_epochs: ",
            "0.333 is no simple part of an epoch; use one such as 0.25",
        ),
        (
            "version: 1",
            "version: 1\nscheduler: {kind: asha, grace_epochs: 0.25}",
            "2:25 scheduler.grace_epochs: ",
            "add first_epoch_evaluations: 4 to fixed",
        ),
        (
            "version: 1",
            "version: 1\nscheduler: {kind: asha, grace_epochs: 0}",
            "2:25 scheduler.grace_epochs: ",
            "than 0",
        ),
        ("version: 1", "version: 1\nsplit: 70/40", "2:1 split: ", "the sum is 110"),
        ("version: 1", "version: 1\nsplit: 3", "2:1 split: ", "must be text"),
        ("backbone: lite0}", "backbone: lite0, epochs: 7}", "3:1 baseline: ", "trials last 5, 7 epochs"),
        ("version: 1", "version: 1\nscheduler: {kind: one_epoch, keep: 0}", "2:", "greater than or equal to 1"),
        ("version: 1", "version: 1\nbudget: {trials: 0}", "2:10 budget.trials: ", "greater than or equal to 1"),
        ("version: 1", "version: 1\nbudget: {trails: 3}", "2:10 budget.trails: ", "did you mean 'trials'?"),
        ("epochs: 5", "epoch: 5", "2:9 fixed.epoch: ", "did you mean 'epochs'?"),
        ("epochs: 5", "head: {width: 0}", "2:16 fixed.head.width: ", "greater than or equal to 1"),
        ("epochs: 5", "head: {width: 1}, head.width: 2", "2:1 fixed: ", "head.width is given twice"),
        ("epochs: 5", "batch_size: true", "2:9 fixed.batch_size: ", "must be a number"),
        ("backbone: lite0}", "head: mlp, backbone: lite0}", "3:12 baseline.head: ", "is made of fields"),
        ("backbone: lite0}", "backbone: lite7}", "3:12 baseline.backbone: ", "no such backbone"),
        ("backbone: lite0}", "}", "3:1 baseline: ", "no backbone"),
        ("baseline: {backbone: lite0}\n", "", "1:1 baseline: ", "is required"),
        ("  backbone: {choice", "  backbones: {choice", "5:3 axes.backbones: ", "did you mean 'backbone'?"),
        ("axes:\n  backbone: {choice: [lite0, lite1]}", "axes: {}", "4:1 axes: ", "at least one axis"),
    ],
)
def test_a_mistaken_section(old: str, new: str, place: str, part: str) -> None:
    assert old in HEADER
    found = mistakes(HEADER.replace(old, new))
    assert any(line.startswith(f"s.yaml:{place}") and part in line for line in found), found


def test_a_grid_lists_no_floats() -> None:
    found = mistakes("sampler: grid\n" + HEADER + "  optimizer.lr: {float: [1e-4, 1e-2]}\n")
    assert found == ["s.yaml:7:3 axes.optimizer.lr: is a float range, which a grid cannot list; use {choice: [...]}"]


def test_a_circle_of_conditions() -> None:
    found = mistakes(
        HEADER + "  freeze: {choice: [all, 0], when: {batch_norm: train}}\n"
        "  batch_norm: {choice: [train], when: {freeze: 0}}\n"
    )
    assert [line.split(": ")[0] for line in found] == [
        "s.yaml:6:30 axes.freeze.when",
        "s.yaml:7:33 axes.batch_norm.when",
    ]


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    found = mistakes(
        "version: 1\nscheduler: {kind: asha, grace_epochs: 7, graec: 1}\nfixed: {epochs: 5, batch_size: 0}\n"
        "baseline: {backbone: lite9}\naxes:\n  backbone: {choice: [lite0, resnet8]}\n  optimizer.lr: {flaot: [1, 2]}\n"
        "  head.dropout: {float: [0.9, 0.1], when: {head.kind: mpl, optimizer.lr: 1}}\n  head.kind: {choice: [mlp]}\n"
    )
    assert [line.split(": ")[0].removeprefix("s.yaml:") for line in found] == [
        "2:25 scheduler.grace_epochs",
        "2:42 scheduler.graec",
        "3:20 fixed.batch_size",
        "4:12 baseline.backbone",
        "6:30 axes.backbone",
        "7:3 axes.optimizer.lr",
        "8:3 axes.head.dropout",
        "8:44 axes.head.dropout.when.head.kind",
    ]


def test_a_space_made_in_python_obeys_the_rules_too() -> None:
    with pytest.raises(ValueError, match=r"axes\.seed: is not searched"):
        Space.model_validate(
            {"version": 1, "fixed": {"backbone": "lite0"}, "baseline": {}, "axes": {"seed": {"int": [1, 2]}}}
        )


ODDITIES = """null|true|0|-1|3.5|1000000000000000000000000000000|.nan|.inf|x|''|mlp|head.kind|[]|[1]|[[]]|[null, a]|{}
{kind: 3}|{float: [1, 2]}|{int: [3, 1]}|{choice: [{}]}|{choice: [[1], [1]]}|{int: [1, 2], when: 3}|{head.width: []}
{choice: [linear], when: {head.width: {}}}|{float: {a: 1}}|{when: {'': null}}|{choice: [mlp], when: {head.width: 2}}"""
PLACES = """
version objective sampler scheduler budget fixed baseline axes axes/backbone axes/freeze axes/head.kind axes/
axes/head.width axes/stages axes/epochs fixed/epochs fixed/stages scheduler/kind scheduler/within
scheduler/grace_epochs fixed/first_epoch_evaluations split baseline/stages baseline/head baseline/backbone
axes/backbone/when"""


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(PLACES.split()), st.sampled_from(re.split(r"[|\n]", ODDITIES)), min_size=1, max_size=4
    )
)
def test_whatever_is_written_is_a_space_or_a_mistake(oddities: dict[str, str]) -> None:
    data: dict[str, Any] = {
        "version": 1,
        "scheduler": {"kind": "asha"},
        "fixed": {"epochs": 5},
        "baseline": {"backbone": "lite0"},
        "axes": {"backbone": {"choice": ["lite0"]}, "head.width": {"int": [1, 5], "when": {"head.kind": "mlp"}}},
    }
    for place, oddity in sorted(oddities.items()):
        owner: Any = data
        *parents, last = place.split("/")
        for parent in parents:
            owner = owner.get(parent) if isinstance(owner, dict) else None
        if isinstance(owner, dict):
            owner[last] = parse_yaml(f"odd: {oddity}", "").data["odd"]
    try:
        space = read_space(parse_yaml(write_yaml(data), "s.yaml"))
    except UserError as error:
        found = list(error.mistakes)
    else:
        found = prove(space)
    assert all(mistake.startswith("s.yaml:") and "\n" not in mistake for mistake in found)


def test_a_warm_up_written_as_stages_ends_before_the_first_rung() -> None:
    def space(grace_epochs: int) -> str:
        stages = "[{epochs: 2, freeze: all}, {epochs: 3, freeze: 2}]"
        scheduler = f"scheduler: {{kind: asha, grace_epochs: {grace_epochs}}}\n"
        return HEADER.replace("augment: none", f"stages: {stages}") + scheduler

    (mistake,) = mistakes(space(grace_epochs=2))
    assert "2 must be above the epochs before the last stage (2)" in mistake
    assert read_space(parse_yaml(space(grace_epochs=3), "s.yaml")).baseline_config().freeze == 2


@pytest.mark.parametrize(
    ("grace", "evaluations"), [("0.25", 4), ("0.5", 4), ("0.75", 8), ("1", 1), ("0.1", 10), ("0.3", 10), ("0.05", 20)]
)
def test_a_first_rung_within_the_first_epoch_is_an_evaluation(grace: str, evaluations: int) -> None:
    text = HEADER.replace("augment: none", f"first_epoch_evaluations: {evaluations}")
    space = read_space(parse_yaml(f"scheduler: {{kind: asha, grace_epochs: {grace}}}\n{text}", "s.yaml"))
    assert space.scheduler.kind == "asha"
    assert space.scheduler.grace_epochs == float(grace)
    assert f"grace_epochs: {grace}\n" in space.to_yaml(), "whole numbers stay whole"
    assert read_space(parse_yaml(space.to_yaml(), "s.yaml")) == space


@pytest.mark.parametrize("evaluations", ["{first_epoch_evaluations: 3, epochs: 5}", "{epochs: 5}"])
def test_a_baseline_is_evaluated_at_the_first_rung_too(evaluations: str) -> None:
    (mistake,) = mistakes(
        f"version: 1\nscheduler: {{kind: asha, grace_epochs: 0.5}}\nfixed: {evaluations}\n"
        "baseline: {backbone: lite0, first_epoch_evaluations: 2}\naxes:\n  backbone: {choice: [lite0, lite1]}\n"
    )
    assert "0.5 is not an evaluation: there are" in mistake


def test_stages_that_last_as_long_may_be_halved() -> None:
    stages = "  stages: {choice: [[{epochs: 5}], [{epochs: 1, freeze: all}, {epochs: 4}]]}\n"
    space = read_space(parse_yaml(f"scheduler: {{kind: asha, grace_epochs: 2}}\n{HEADER}{stages}", "s.yaml"))
    assert prove(space) == []
    alone = space.source.replace("epochs: 5, augment: none", "augment: none").replace("lite0}", "lite0, epochs: 5}")
    assert prove(read_space(parse_yaml(alone, "s.yaml"))) == []


@pytest.mark.parametrize("kind", ["asha", "pausing_asha", "one_epoch"])
def test_every_halving_decides_between_the_warm_up_and_the_last_epoch(kind: str) -> None:
    def space(fixed: str) -> str:
        return f"scheduler: {kind}\n" + HEADER.replace("epochs: 5", fixed)

    (too_late,) = mistakes(space("epochs: 1"))
    assert "must be below epochs (1), or nothing is ever stopped" in too_late
    (too_early,) = mistakes(space("epochs: 5, head_warmup_epochs: 1"))
    assert "must be above head_warmup_epochs (1), or trials are judged before their backbone has trained" in too_early
    assert read_space(parse_yaml(space("epochs: 2"), "s.yaml")).scheduler.kind == kind


def test_quarters_of_an_epoch_are_rungs_of_a_pausing_search_too() -> None:
    (mistake,) = mistakes(f"scheduler: {{kind: pausing_asha, grace_epochs: 0.25}}\n{HEADER}")
    assert "add first_epoch_evaluations: 4 to fixed" in mistake


@pytest.mark.parametrize("kind", ["asha", "pausing_asha", "one_epoch"])
def test_a_grid_is_halved_where_it_says_so(kind: str) -> None:
    assert read_space(parse_yaml(f"sampler: grid\n{HEADER}", "s.yaml")).scheduler.kind == "none"
    assert read_space(parse_yaml(f"sampler: grid\nscheduler: {kind}\n{HEADER}", "s.yaml")).scheduler.kind == kind
