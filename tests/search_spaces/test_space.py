"""Spaces: every generated one gives valid configs, respects `when`, and survives YAML."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_spaces.check import prove
from search_spaces.document import parse_yaml, write_yaml
from search_spaces.schedulers import Asha, NoScheduler
from search_spaces.space import Space, load_space, read_space
from trainable.errors import UserError

EXAMPLE = """
version: 1
about: text
objective: f2_macro
scheduler: {kind: asha, grace_epochs: 1, reduction_factor: 3, within: [schedule.kind]}
fixed: {epochs: 5, batch_size: 32, image_size: 96}
baseline: {backbone: lite0, freeze: all, optimizer.lr: 1.0e-3}
axes:
  backbone: {choice: [lite0, resnet18]}
  optimizer.lr: {float: [1.0e-5, 1.0e-2], log: true}
  head.width: {int: [64, 512], log: true, when: {head.kind: [mlp]}}
  head.kind: {choice: [linear, mlp]}
"""


def space_of(text: str) -> Space:
    return read_space(parse_yaml(text, "s.yaml"))


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """Files of valid spaces: random axes over compatible values, `when` one and two levels deep."""

    def some(options: list[Any]) -> dict[str, Any]:
        return {"choice": draw(st.lists(st.sampled_from(options), min_size=1, max_size=3, unique_by=str))}

    heads = some(["linear", "dropout_linear", "mlp", "two_linear"])
    with_dropout = [kind for kind in heads["choice"] if kind != "linear"]
    with_width = [kind for kind in heads["choice"] if kind in ("mlp", "two_linear")]
    pool: dict[str, Any] = {
        "backbone": some(["lite0", "resnet18", "mobilenet_v3_large"]),
        "freeze": some(["all", "50%", 0, 3, 5]),
        "head.kind": heads,
        "batch_size": {"int": [8, 40], "step": draw(st.sampled_from([8, 16, 30]))},
        "augment": some(["none", "light", "strong"]),
        "loss.pos_weight": some(["none", "balanced", 3, 2.5]),
    }
    if with_dropout:
        pool["head.dropout"] = {"choice": [0.1, 0.5], "when": {"head.kind": with_dropout}}
    if with_width:
        pool["head.width"] = {"int": [64, 66], "log": True, "when": {"head.kind": with_width}}
        pool["loss.label_smoothing"] = {"choice": [0, 0.1], "when": {"head.width": 65}}
    grid = draw(st.booleans())
    if not grid:
        pool["optimizer.lr"] = {"float": [1e-5, draw(st.floats(1e-4, 1e-1))], "log": True}
        pool["optimizer.weight_decay"] = {"float": [0, 0.1]}
    order = draw(st.permutations(list(pool)))
    return {
        "version": 1,
        "about": draw(st.text(max_size=10)),
        "sampler": "grid" if grid else draw(st.sampled_from(["tpe", "random"])),
        "scheduler": draw(
            st.sampled_from(["none", {"kind": "asha", "within": ["head.kind"]}, "pausing_asha", {"kind": "one_epoch"}])
        ),
        "fixed": draw(st.sampled_from([{}, {"epochs": 3}, {"epochs": 4, "image_size": 96}])),
        "baseline": {"backbone": "lite0", "head": {"kind": "mlp", "width": 65}},
        "axes": {path: pool[path] for path in order},
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spaces(), st.randoms(use_true_random=False))
def test_every_valid_space(given_space: dict[str, Any], rng: random.Random) -> None:
    space = space_of(write_yaml(given_space))
    assert list(space.axes) == list(given_space["axes"])
    again = space_of(space.to_yaml())
    assert again == space
    assert again.to_yaml() == space.to_yaml()
    for _ in range(10):
        check_params(space, space.draw(rng))
    assert all(space.active(path, space.baseline_params()) for path in space.baseline_params())
    assert space.baseline_config().head.kind == "mlp"
    if space.sampler == "grid":
        check_grid(space)


def check_params(space: Space, params: dict[str, Any]) -> None:
    """The config has what was chosen, and what was chosen exists."""
    fields = space.config(params).model_dump(mode="json")
    for path, value in params.items():
        part, _, name = path.partition(".")
        assert (fields[part][name] if name else fields[part]) == value
        assert space.axes[path].holds(value)
        assert space.active(path, params)
        assert all(params.get(parent) in values for parent, values in space.axes[path].when.items())


def check_grid(space: Space) -> None:
    """The grid is the product of all axes with the inactive ones left out: no more, no less, in one order."""
    rows = list(itertools.islice(space.grid(), 3000))
    assert rows == list(itertools.islice(space.grid(), 3000))
    keys = [json.dumps(row, sort_keys=True) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows[:20]:
        check_params(space, row)
    if (space.size() or 0) <= 3000:
        product = itertools.product(*(axis.values() or () for axis in space.axes.values()))
        expected = {
            json.dumps(space.active_params(dict(zip(space.axes, values, strict=True))), sort_keys=True)
            for values in product
        }
        assert expected == set(keys)
        assert space.size() == len(rows)


def test_the_example_of_the_format() -> None:
    space = space_of(EXAMPLE)
    assert list(space.axes) == ["backbone", "optimizer.lr", "head.width", "head.kind"]
    assert space.order == ("backbone", "optimizer.lr", "head.kind", "head.width")
    assert space.scheduler == Asha(grace_epochs=1, reduction_factor=3, within=("schedule.kind",))
    assert (space.name, space.source, space.size(), space.trials()) == ("s", EXAMPLE, None, 20)
    assert space.baseline_params() == {"backbone": "lite0", "optimizer.lr": 1e-3, "head.kind": "linear"}
    assert space.baseline_config().image_size == 96
    assert prove(space) == []


def test_values_of_axes_that_do_not_exist_are_left_out() -> None:
    space = space_of(EXAMPLE)
    params = {"backbone": "resnet18", "head.kind": "linear", "head.width": 100}
    assert not space.active("head.width", params)
    assert space.active_params(params) == {"backbone": "resnet18", "head.kind": "linear"}
    assert space.config(params).head.kind == "linear"
    assert space.active("head.width", params | {"head.kind": "mlp"})
    with pytest.raises(ValueError, match=r"no axes of this space: head\.size"):
        space.config({"head.size": 3})


def test_a_fixed_value_may_decide_whether_an_axis_exists() -> None:
    space = space_of(
        "version: 1\nfixed: {backbone: lite0, head.kind: mlp}\nbaseline: {}\n"
        "axes:\n  head.width: {int: [8, 16], when: {head.kind: mlp}}\n"
    )
    assert space.active("head.width", {})
    assert space.baseline_params() == {}, "the default width of 256 is outside"


def test_fixed_may_be_nested_or_dotted() -> None:
    header, axes = "version: 1\nbaseline: {backbone: lite0}\n", "axes: {backbone: {choice: [lite0]}}\n"
    nested = space_of(header + "fixed:\n  head: {kind: mlp, dropout: 0.5}\n" + axes)
    dotted = space_of(header + "fixed: {head.kind: mlp, head.dropout: 0.5}\n" + axes)
    assert nested == dotted
    assert nested.fixed == {"head.kind": "mlp", "head.dropout": 0.5}


def test_a_baseline_outside_an_axis_is_left_out_with_what_depends_on_it() -> None:
    text = EXAMPLE.replace("optimizer.lr: 1.0e-3}", "optimizer.lr: 0.5, head: {kind: two_linear, width: 64}}")
    assert space_of(text).baseline_params() == {"backbone": "lite0"}


def test_sizes_and_backbones_include_the_baselines() -> None:
    space = space_of(
        "version: 1\nbaseline: {backbone: resnet50, image_size: 64, pretrained: false}\naxes:\n"
        "  backbone: {choice: [lite0, lite1]}\n"
        "  pretrained: {choice: [true, false], when: {backbone: lite1}}\n"
        "  image_size: {int: [96, 160], step: 32}\n"
    )
    assert space.sizes() == (64, 96, 128, 160)
    assert space.backbones() == ("resnet50", "lite0", "lite1")
    assert space.pretrained_backbones() == ("lite0", "lite1")


GRID = """
version: 1
sampler: grid
fixed: {backbone: lite0}
baseline: {head.kind: mlp, head.width: 8}
axes:
  head.width: {int: [8, 24], step: 8, when: {head.kind: mlp}}
  head.kind: {choice: [linear, mlp]}
  augment: {choice: [none, light]}
"""


def test_a_grid_is_ordered_and_has_all_its_trials_by_default() -> None:
    space = space_of(GRID)
    assert space.scheduler == NoScheduler()
    rows = [tuple(row.values()) for row in space.grid()]
    assert rows[:3] == [("linear", "none"), ("linear", "light"), ("mlp", 8, "none")]
    assert space.size() == len(rows) == 8
    assert space.trials() == 8, "the baseline is one of them"
    assert space_of(GRID.replace("head.width: 8}", "head.width: 9}")).trials() == 9
    assert space_of(GRID + "budget: {trials: 3}\n").trials() == 3


def test_a_large_grid_is_counted_without_listing_it() -> None:
    axes = "".join(f"  {path}: {{int: [1, 10000]}}\n" for path in ("batch_size", "head.width", "micro_batch"))
    text = GRID.split("axes:")[0].replace("baseline: {head.kind: mlp", "baseline: {head.kind: mlp")
    space = space_of(text.replace("backbone: lite0", "backbone: lite0, head.kind: mlp") + "axes:\n" + axes)
    assert space.size() == 10**12
    assert next(iter(space.grid())) == {"batch_size": 1, "head.width": 1, "micro_batch": 1}


def test_a_space_is_found_by_name_or_path(tmp_path: Path) -> None:
    assert load_space("quick") == load_space("quick.yaml")
    (tmp_path / "mine.yaml").write_text(EXAMPLE)
    assert load_space(tmp_path / "mine.yaml").name == "mine"
    with pytest.raises(UserError, match="did you mean 'quick'"):
        load_space("quik")
