from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from small_runs import make_runs, points

from tuner.conclusions.effects import Association, Effect, Untold, findings_of
from tuner.conclusions.runs import Level, Runs


def noisy(rows: list[dict[str, Level]], seed: int = 0, **gains: float) -> list[tuple[dict[str, Level], float]]:
    """Rows with values around 0.9; `gains` are by level."""
    rng = np.random.default_rng(seed)
    return [(row, 0.9 + 0.01 * rng.normal() + sum(gains.get(str(level), 0) for level in row.values())) for row in rows]


def by_setting(runs: Runs) -> dict[str, Effect | Association | Untold]:
    return {found.setting + (f" of {found.within}" if found.within else ""): found for found in findings_of(runs)}


def test_runs_that_are_equal_otherwise_are_pairs() -> None:
    rows = noisy(points(head=["linear", "mlp"], freeze=[0, 2, 4], lr=[1e-4, 1e-3]), mlp=0.2)
    found = by_setting(make_runs(rows))["head"]
    assert isinstance(found, Effect)
    (contrast,) = found.contrasts
    mlp, linear = ([value for row, value in rows if row["head"] == head] for head in ("mlp", "linear"))
    assert (contrast.level, contrast.against, found.groups) == ("mlp", "linear", 6)
    assert contrast.difference == pytest.approx(np.mean(mlp) - np.mean(linear))
    assert contrast.difference / contrast.error == pytest.approx(stats.ttest_rel(mlp, linear).statistic)
    assert found.shown


def test_equal_runs_are_averaged_before_they_are_paired() -> None:
    rows = [({"a": "off", "b": 0}, 1.0), ({"a": "off", "b": 0}, 3.0), ({"a": "on", "b": 0}, 5.0)]
    rows += [({"a": "off", "b": 1}, 0.0), ({"a": "on", "b": 1}, 4.0), ({"a": "on", "b": 2}, 100.0)]
    found = by_setting(make_runs(rows))["a"]
    assert isinstance(found, Effect)
    assert found.groups == 2
    assert found.contrasts[0].difference == pytest.approx((3 + 4) / 2)


def test_one_pair_of_equal_runs_is_welchs_test() -> None:
    values = {"linear": (0.51, 0.53, 0.5), "mlp": (0.6, 0.64)}
    rows = [({"head": head}, value) for head, found in values.items() for value in found]
    found = by_setting(make_runs(rows))["head"]
    assert isinstance(found, Effect)
    (contrast,) = found.contrasts
    expected = stats.ttest_ind(values["mlp"], values["linear"], equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (contrast.low, contrast.high) == pytest.approx((interval.low, interval.high))
    assert (found.groups, found.runs) == (1, 5)
    single = by_setting(make_runs(rows[:4]))["head"]
    assert isinstance(single, Effect)
    assert single.contrasts[0].error is None


def test_off_and_small_levels_come_second() -> None:
    rows = noisy(points(swa=["yes", "no"], epochs=[15, 5], head=["mlp", "linear"]), yes=-1.0, mlp=-1.0)
    found = by_setting(make_runs(rows))
    levels = {name: (effect.contrasts[0].level, effect.contrasts[0].against) for name, effect in found.items()}  # type: ignore[union-attr]
    assert levels == {"swa": ("yes", "no"), "epochs": (15, 5), "head": ("linear", "mlp")}
    losses = by_setting(make_runs(rows, direction="minimize"))["head"]
    assert isinstance(losses, Effect)
    assert losses.contrasts[0].level == "mlp"


def test_one_pair_and_no_pair() -> None:
    rows: list[dict[str, Level]] = [{"a": "x", "b": 0, "c": 1}, {"a": "y", "b": 0, "c": 1}, {"a": "z", "b": 1, "c": 1}]
    runs = make_runs(zip(rows, (1.0, 2.0, 3.0), strict=True))
    found = by_setting(runs)
    assert isinstance(found["a"], Effect)
    assert found["a"].contrasts[0].error is None
    assert found["b"] == Untold("b", "no two runs differ in it alone")
    assert found["c"] == Untold("c", "one level")


def test_settings_that_exist_beside_one_level_only_are_averaged_over() -> None:
    rows: list[tuple[dict[str, Level], float]] = []
    for lr in (1, 2, 3):
        rows += [({"head": "linear", "lr": lr}, 0.5 + lr / 100)]
        rows += [({"head": "mlp", "width": width, "lr": lr}, 0.7 + lr / 100 + width / 1e4) for width in (64, 128)]
    found = by_setting(make_runs(rows))
    assert isinstance(found["head"], Effect)
    assert (found["head"].groups, found["head"].contrasts[0].difference) == (3, pytest.approx(0.2096))
    assert isinstance(found["width"], Effect)
    assert (found["width"].groups, found["width"].runs) == (3, 6)


def test_frozen_blocks_are_compared_within_a_backbone_by_their_number() -> None:
    blocks = {("lite0", "all"): 9, ("lite0", "50%"): 4, ("lite0", 4): 4}
    blocks |= {("resnet18", "all"): 5, ("resnet18", "50%"): 2, ("resnet18", 4): 4}
    rows = noisy(points(backbone=["lite0", "resnet18"], freeze=["all", "50%", 4], head=["a", "b", "c"]), all=-0.3)
    runs = make_runs(rows, freeze="freeze", backbone="backbone")
    resolved = tuple(
        replace(row, freeze_blocks=blocks[str(row.settings["backbone"]), row.settings["freeze"]])  # type: ignore[index]
        for row in runs.rows
    )
    found = by_setting(replace(runs, rows=resolved))
    assert set(found) == {"backbone", "freeze of lite0", "freeze of resnet18", "head"}
    levels = {name: {contrast.level for contrast in effect.contrasts} for name, effect in found.items()}  # type: ignore[union-attr]
    assert levels["freeze of lite0"] == {9}
    assert levels["freeze of resnet18"] == {2, 4, 5}
    assert found["backbone"].groups == 9  # type: ignore[union-attr]  # `all` against `all`, though of other numbers
    assert found["freeze of lite0"].contrasts[0].against == 4  # type: ignore[union-attr]  # `50%` is 4


def test_runs_drawn_at_random_are_compared_without_pairs_and_without_the_baseline() -> None:
    rng = random.Random(0)
    rows = [({"head": rng.choice(["linear", "mlp"]), "lr": rng.uniform(0, 1)}, rng.gauss(0, 1)) for _ in range(30)]
    runs = make_runs([({"head": "mlp", "lr": 0.5}, 1e6), *rows], design="random")
    runs = replace(runs, rows=(replace(runs.rows[0], drawn=False), *runs.rows[1:]))
    found = by_setting(runs)
    assert isinstance(found["head"], Effect)
    mlp, linear = ([value for row, value in rows if row["head"] == head] for head in ("mlp", "linear"))
    told = stats.ttest_ind(mlp, linear)
    (contrast,) = found["head"].contrasts
    assert found["head"].groups == 0
    assert abs(contrast.difference / contrast.error) == pytest.approx(abs(told.statistic))  # type: ignore[operator]
    assert isinstance(found["lr"], Association)
    assert found["lr"].correlation == pytest.approx(
        stats.spearmanr([row["lr"] for row, _ in rows], [value for _, value in rows]).statistic
    )
    assert found["lr"].low is not None


def test_adaptive_runs_give_associations_only() -> None:
    rows = noisy([{"head": ["linear", "mlp"][at % 2], "lr": at} for at in range(8)], mlp=0.5)
    found = by_setting(make_runs(rows, design="adaptive"))
    assert isinstance(found["head"], Association)
    assert [level for level, _, _ in found["head"].means] == ["mlp", "linear"]
    assert found["head"].strength > 0.9
    assert isinstance(found["lr"], Association)
    assert found["lr"].low is None
    few = by_setting(make_runs(rows[:4], design="adaptive"))
    assert few == {"head": Untold("head", "only 4 runs"), "lr": Untold("lr", "only 4 runs")}


def test_a_correlation_is_positive_where_higher_goes_with_better() -> None:
    rows: list[tuple[dict[str, Level], float]] = [({"lr": at}, -(at**3)) for at in range(6)]
    assert by_setting(make_runs(rows))["lr"].correlation == pytest.approx(-1)  # type: ignore[union-attr]
    assert by_setting(make_runs(rows, direction="minimize"))["lr"].correlation == pytest.approx(1)  # type: ignore[union-attr]


def test_equal_values_show_nothing() -> None:
    for design in ("matched", "random", "adaptive"):
        rows = [(row, 0.9) for row in points(head=["linear", "mlp"], freeze=[0, 1, 2])]
        for found in findings_of(make_runs(rows, design=design)):
            assert isinstance(found, Untold) or (isinstance(found, Effect) and not found.shown)
    rows = [({"lr": at / 7, "head": "ab"[at % 2]}, 0.1 + 0.2) for at in range(12)]
    assert by_setting(make_runs(rows, design="random"))["lr"] == Untold("lr", "the same value in all 12 runs")


def grid(seed: int) -> list[tuple[dict[str, Level], float]]:
    return noisy(points(head=["linear", "mlp"], freeze=[0, 1, 2], kind=["p", "q", "r"]), seed)


def summary(runs: Runs) -> list[tuple[object, ...]]:
    return [
        (
            found.setting,
            contrast.level,
            contrast.against,
            *(round(x or 0, 9) for x in (contrast.difference, contrast.low)),
        )
        for found in findings_of(runs)
        if isinstance(found, Effect)
        for contrast in found.contrasts
    ]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(seed: int, rng: random.Random) -> None:
    rows = grid(seed)
    shuffled = rng.sample(rows, len(rows))
    assert summary(make_runs(rows)) == summary(make_runs(shuffled, settings=("head", "freeze", "kind")))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.floats(-1000, 1000))
def test_a_shift_of_all_values_does_not_matter(seed: int, shift: float) -> None:
    shifted = [(row, value + shift) for row, value in grid(seed)]
    for one, other in zip(summary(make_runs(grid(seed))), summary(make_runs(shifted)), strict=True):
        assert one[:3] == other[:3]
        assert one[3:] == pytest.approx(other[3:], abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.permutations(["p", "q", "r"]))
def test_the_names_of_levels_do_not_matter(seed: int, names: list[str]) -> None:
    renamed = [({**row, "kind": names["pqr".index(str(row["kind"]))]}, value) for row, value in grid(seed)]
    back = dict(zip(names, "pqr", strict=True))
    found = [(s, back.get(str(level), level), a, d, low) for s, level, a, d, low in summary(make_runs(renamed))]
    assert sorted(found, key=str) == sorted(summary(make_runs(grid(seed))), key=str)


@pytest.mark.parametrize(("design", "decimals"), [("matched", 2), ("matched", 9), ("random", 2), ("random", 9)])
def test_without_effects_few_are_shown(design: str, decimals: int) -> None:
    """5 % of 400 settings are 20; 32 is three standard deviations above."""
    rng = random.Random(0)
    shown = told = 0
    for _ in range(100):
        rows: list[dict[str, Level]] = points(
            head=["linear", "mlp"], freeze=["a", "b", "c"], kind=["p", "q"], lr=[1, 2]
        )
        if design == "random":
            rows = [{name: rng.choice([row[name] for row in rows]) for name in rows[0]} for _ in range(20)]
        runs = make_runs([(row, round(rng.gauss(0.9, 0.01), decimals)) for row in rows], design=design)
        found = [effect for effect in findings_of(runs) if isinstance(effect, Effect)]
        told += len(found)
        shown += sum(bool(effect.shown) for effect in found)
    assert told == 400
    assert shown <= 32
