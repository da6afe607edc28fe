"""Overrides: one value in another's place everywhere, axes and runs as many as before, mistakes named by option."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.check import prove
from search_spaces.document import parse_yaml
from search_spaces.overrides import NO_OVERRIDES, Overrides, override, scaled
from search_spaces.shipped import shipped_paths
from search_spaces.space import Space, load_space, read_space
from trainable.backbones import BACKBONES
from trainable.errors import UserError

TEXT = """version: 1
# a comment that stays in the source
sampler: grid
fixed: {image_size: 224, optimizer.lr: 1e-3, batch_size: 8}
baseline: {backbone: resnet50, batch_size: 4}
axes:
  backbone: {choice: [resnet50, resnet18]}
  augment: {choice: [none, light], when: {backbone: resnet50}}
  stages:
    choice:
      - [{epochs: 7, freeze: all}, {epochs: 5, freeze: 0, lr: 1e-4}]
      - [{epochs: 12, freeze: 0}]
      - [{epochs: 30, freeze: 0}]
"""


def space_of(text: str = TEXT) -> Space:
    return read_space(parse_yaml(text, "s.yaml"))


def overridden(space: Space, **texts: list[str]) -> tuple[Space, tuple[str, ...]]:
    return override(space, Overrides.model_validate(texts))


def mistakes(text: str = TEXT, **texts: list[str]) -> list[str]:
    with pytest.raises(UserError) as caught:
        overridden(space_of(text), **texts)
    return list(caught.value.mistakes)


def test_a_value_is_replaced_wherever_it_stands() -> None:
    space, lines = overridden(space_of(), backbone=["resnet50=lite2", "resnet18=lite0"])
    assert space.axes["backbone"].values() == ("lite2", "lite0")
    assert space.baseline["backbone"] == "lite2"
    assert space.axes["augment"].when == {"backbone": ("lite2",)}
    assert lines == ("backbone: resnet50 -> lite2", "backbone: resnet18 -> lite0")
    assert space.name == "s"
    assert space.source == TEXT
    assert prove(space) == []


def test_values_may_change_places() -> None:
    space, _ = overridden(space_of(), backbone=["resnet50=resnet18", "resnet18=resnet50"])
    assert space.axes["backbone"].values() == ("resnet18", "resnet50")
    assert space.baseline["backbone"] == "resnet18"


def test_a_fixed_value_is_set_for_the_baseline_too() -> None:
    space, lines = overridden(space_of(), image_size=["96"], set=["batch_size=16", "optimizer.kind=adam", "seed=7"])
    config = space.baseline_config()
    assert (config.image_size, config.batch_size, config.optimizer.kind, config.seed) == (96, 16, "adam", 7)
    assert {space.config(params).batch_size for params in space.grid()} == {16}
    assert lines == ("image_size: 224 -> 96", "batch_size: 4 -> 16", "optimizer.kind: adam", "seed: 7")


def test_a_fixed_value_may_be_replaced_by_name() -> None:
    assert overridden(space_of(), image_size=["224=96"])[0] == overridden(space_of(), image_size=["96"])[0]


def test_stages_are_scaled_to_the_epochs_that_they_last_together() -> None:
    space, lines = overridden(space_of(), epochs=["12=3", "30=4"])
    plans = [[stage["epochs"] for stage in option] for option in space.axes["stages"].values() or ()]
    assert plans == [[2, 1], [3], [4]]
    assert {space.config(params).epochs for params in space.grid()} == {3, 4}
    assert lines == (
        "epochs: 12 -> 3",
        "epochs: 30 -> 4",
        "stages: 7 + 5 epochs -> 2 + 1 epochs",
        "stages: 12 epochs -> 3 epochs",
        "stages: 30 epochs -> 4 epochs",
    )


def test_epochs_that_are_an_axis_are_replaced_and_set_where_they_are_not() -> None:
    axis = "version: 1\nsampler: grid\nbaseline: {backbone: lite0, epochs: 5}\nfixed: {backbone: lite0}\naxes:\n"
    space, _ = overridden(space_of(axis + "  epochs: {choice: [5, 15]}\n"), epochs=["15=4", "5=2"])
    assert (space.axes["epochs"].values(), space.baseline["epochs"]) == ((2, 4), 2)
    text = "version: 1\nscheduler: none\nfixed: {backbone: lite0}\nbaseline: {}\naxes: {augment: {choice: [none]}}\n"
    assert overridden(space_of(text), epochs=["3"])[0].baseline_config().epochs == 3


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"backbone": ["resnet05=lite0"]}, "s has no backbone resnet05; did you mean 'resnet50'? (it has resnet50, "),
        ({"backbone": ["resnet50=lite9"]}, "there is no such backbone; did you mean 'lite2'?"),
        ({"backbone": ["resnet50=resnet18"]}, "makes two options of backbone the same (resnet18); choose another"),
        ({"backbone": ["lite0"]}, "backbone is an axis of s; to search it over other values, use --backbone OLD=NEW"),
        ({"backbone": ["=lite0"]}, "has an empty value; write OLD=NEW, or NEW alone"),
        ({"backbone": ["resnet50="]}, "has an empty value; write OLD=NEW, or NEW alone"),
        ({"backbone": ["resnet50: lite0"]}, "cannot be read as YAML; write OLD=NEW, or NEW alone"),
        ({"image_size": ["224=5"]}, "greater than or equal to 16 (given: 5)"),
        ({"image_size": ["96=64"]}, "s has no image_size 96 (it has 224)"),
        ({"image_size": ["big"]}, "should be a valid integer"),
        ({"epochs": ["12=30"]}, "makes two options of stages the same (30 epochs); choose another"),
        ({"epochs": ["12=1"]}, "2 stages need an epoch each; give 2 or more"),
        ({"epochs": ["15=4"]}, "s has no epochs 15 (it has 12, 30)"),
        ({"epochs": ["4"]}, "the stages of s last 12, 30 epochs; use --epochs OLD=NEW"),
        ({"set": ["batch_size"]}, "write FIELD=VALUE, such as batch_size=16"),
        ({"set": ["batch_size="]}, "has an empty value; write FIELD=VALUE"),
        ({"set": ["batch_sise=3"]}, "did you mean 'batch_size'?"),
        ({"set": ["batch_size=0"]}, "greater than or equal to 1 (given: 0)"),
        (
            {"set": ["augment=light"]},
            "augment is an axis of s; to search it over other values, use a copy of the space",
        ),
    ],
)
def test_a_mistake_names_its_option(texts: dict[str, list[str]], told: str) -> None:
    ((name, (text,)),) = texts.items()
    (mistake,) = mistakes(**texts)
    assert mistake.startswith(f"--{name.replace('_', '-')} {text}: ")
    assert told in mistake


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        ({"image_size": ["96", "64"]}, "--image-size 96"),
        ({"image_size": ["224=96", "64"]}, "--image-size 64"),
        ({"image_size": ["224=96", "224=64"]}, "--image-size 224=96"),
        ({"image_size": ["96"], "set": ["image_size=64"]}, "--image-size 96"),
    ],
)
def test_two_options_for_one_value(texts: dict[str, list[str]], kept: str) -> None:
    (mistake,) = mistakes(**texts)
    assert f": {kept} is given as well; keep one of the two" in mistake


def test_all_mistakes_at_once() -> None:
    assert len(mistakes(backbone=["lite0"], epochs=["9=8"], image_size=["5"], set=["foo=1", "augment=light"])) == 5


def test_what_comes_of_it_obeys_the_rules_of_a_space() -> None:
    text = "version: 1\nscheduler: {kind: asha, grace_epochs: 3}\nfixed: {epochs: 9}\nbaseline: {backbone: lite0}\n"
    (mistake,) = mistakes(text + "axes: {backbone: {choice: [lite0, lite1]}}\n", epochs=["9=3"])
    assert mistake.startswith("s.yaml:2:25 scheduler.grace_epochs: 3 must be below epochs (3)")


def test_a_space_made_in_python_is_overridden_too() -> None:
    fields = {"fixed": {"backbone": "lite0", "epochs": 4}, "baseline": {}, "axes": {"augment": {"choice": ["none"]}}}
    space = Space.model_validate({"version": 1, **fields})
    assert overridden(space, epochs=["2"])[0].baseline_config().epochs == 2


@pytest.mark.parametrize("name", shipped_paths())
def test_nothing_given_changes_nothing(name: str) -> None:
    space = load_space(name)
    assert override(space, NO_OVERRIDES) == (space, ())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_distinct_values_keep_axes_and_runs(data: st.DataObject) -> None:
    space = load_space(data.draw(st.sampled_from([name for name in shipped_paths() if name.startswith("reports/")])))
    backbones = sorted(set(space.backbones()))
    others = data.draw(st.permutations(list(BACKBONES)))[: len(backbones)]
    lengths = sorted({space.config(params).epochs for params in space.grid()})
    shorter = sorted(data.draw(st.sets(st.integers(2, 40), min_size=len(lengths), max_size=len(lengths))))
    changed, lines = overridden(
        space,
        backbone=[f"{old}={new}" for old, new in zip(backbones, others, strict=True)],
        epochs=[f"{old}={new}" for old, new in zip(lengths, shorter, strict=True)] if _gives_epochs(space) else [],
        image_size=["64"],
    )
    assert list(changed.axes) == list(space.axes)
    assert (changed.size(), changed.trials()) == (space.size(), space.trials())
    assert [len(axis.values() or ()) for axis in changed.axes.values()] == [
        len(axis.values() or ()) for axis in space.axes.values()
    ]
    assert set(changed.backbones()) == set(others)
    assert all(re.fullmatch(r"[a-z_]+: .+ -> .+", line) for line in lines)
    rows: list[Any] = [changed.active_params(params) for params in changed.grid()]
    assert len(rows) == changed.size()


def _gives_epochs(space: Space) -> bool:
    return any("epochs" in where or "stages" in where for where in (space.fixed, space.axes))


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6), st.integers(0, 200))
def test_scaled_lengths_keep_their_sum_and_proportions(lengths: list[int], more: int) -> None:
    total = len(lengths) + more
    parts = scaled(lengths, total)
    quotas = [length * total / sum(lengths) for length in lengths]
    assert sum(parts) == total
    assert min(parts) >= 1
    assert len(parts) == len(lengths)
    if min(quotas) >= 1:
        assert all(abs(part - quota) < 1 for part, quota in zip(parts, quotas, strict=True))
    assert scaled(lengths, sum(lengths)) == lengths


def test_another_objective() -> None:
    space = space_of()
    changed, lines = override(space, Overrides(objective="f2_micro"))
    assert changed.objective == "f2_micro"
    assert lines == ("objective: f1_macro -> f2_micro",)
    assert override(space, Overrides(objective=space.objective)) == (space, ())
    with pytest.raises(UserError, match=r"^--objective: unknown metric 'f2_macr'; did you mean 'f2_macro'"):
        override(space, Overrides(objective="f2_macr"))
