"""Searches on a clock that only adds: who trains how long, and what is computed once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_searches import tiny_space

from search_spaces.document import parse_yaml, write_yaml
from search_spaces.space import Space, read_space
from trainable.config import TrialConfig
from trainable.measure import BlockSize, BlockTime
from tuner.planning.costs import BackboneCost, Work
from tuner.planning.simulate import Course, Machine, Simulation

MODEL = ("resnet18", 32)
WORK = Work(train_images=100, val_images=20, evaluation_seconds=0.5)
MACHINE = Machine(workers=1, feature_budget_bytes=10**9, read_seconds_per_byte=0.0)
COST = BackboneCost(
    backbone="resnet18",
    image_size=32,
    parameters=1000,
    latency_ms=1.0,
    build_seconds=0.0,
    blocks=5,
    times=(*[BlockTime(0.01, 0.03, 0.0)] * 5, BlockTime(0.0, 0.0, 0.0)),
    sizes=(*[BlockSize(200, 4000, 8000)] * 5, BlockSize(0, 400, 0)),
    head_step_seconds=0.0,
    memory_gib={},
    timed_images=32,
    measured_seconds=0.0,
)


def space_of(scheduler: Any = "none", **fixed: Any) -> Space:
    fields = {"backbone": "resnet18", "pretrained": False, "image_size": 32, "epochs": 9, "batch_size": 10, **fixed}
    return read_space(parse_yaml(write_yaml(tiny_space(fixed=fields, scheduler=scheduler)), "mine.yaml"))


def run(space: Space, configs: list[TrialConfig], machine: Machine = MACHINE, seed: int = 0) -> Course:
    return Simulation(space, configs, {MODEL: COST}, WORK, machine, seed).run()


def frozen(space: Space, count: int, **changes: Any) -> list[TrialConfig]:
    """So many trials of which all blocks are frozen."""
    return [space.config({"freeze": "all"}).model_copy(update=changes) for _ in range(count)]


def test_without_halving_every_trial_trains_to_its_end() -> None:
    space = space_of()
    course = run(space, frozen(space, 4))
    assert course.epochs == [9, 9, 9, 9]


def test_shared_features_are_computed_once_and_unshared_ones_every_epoch() -> None:
    space = space_of()
    prefix = 0.05 * (100 + 20)  # seconds an epoch
    scoring = 4 * 9 * 0.5
    shared, unshared = run(space, frozen(space, 4)), run(space, frozen(space, 4), replace(MACHINE, sharing=False))
    assert shared.seconds == pytest.approx(scoring + prefix)
    assert unshared.seconds == pytest.approx(scoring + 4 * 9 * prefix)
    assert shared.feature_bytes == 400 * (100 + 20)


def test_augmented_views_are_shared_epoch_by_epoch_and_mixed_ones_never() -> None:
    space = space_of(augment="light")
    views = 0.05 * (9 * 100 + 20)
    assert run(space, frozen(space, 3)).seconds == pytest.approx(3 * 9 * 0.5 + views)
    space = space_of(**{"mix.kind": "mixup"})
    mixed = 0.05 * (3 * 9 * 100 + 20)
    assert run(space, frozen(space, 3)).seconds == pytest.approx(3 * 9 * 0.5 + mixed)


def test_parts_of_the_first_epoch_have_other_images() -> None:
    space = space_of(first_epoch_evaluations=4)
    course = run(space, frozen(space, 2))
    assert course.seconds == pytest.approx(2 * (9 + 3) * 0.5 + 0.05 * (100 + 20))
    assert course.feature_bytes == 400 * (100 + 20)


def test_trained_blocks_take_their_time_each_epoch() -> None:
    space = space_of()
    course = run(space, [space.config({"freeze": 3})])
    assert course.seconds == pytest.approx(9 * (0.5 + 2 * 0.03 * 100 + 2 * 0.01 * 20) + 3 * 0.01 * 120)


def test_features_that_do_not_fit_are_computed_again_and_said_to_be() -> None:
    space = space_of()
    course = run(space, frozen(space, 2), replace(MACHINE, feature_budget_bytes=400 * 20))
    assert course.recomputed == {(MODEL, 5): "the cache is full"}
    assert course.seconds == pytest.approx(2 * 9 * 0.5 + 0.05 * (20 + 2 * 9 * 100))
    slow = run(space, frozen(space, 2), replace(MACHINE, read_seconds_per_byte=1.0))
    assert slow.recomputed == {(MODEL, 5): "computing is faster than reading"}


@pytest.mark.parametrize(
    ("scheduler", "epochs"),
    [
        ({"kind": "one_epoch", "keep": 2}, 9 + 2 * 9 + 7 * 1),
        ({"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 3}, None),
        ({"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}, None),
    ],
)
def test_halving_is_the_schedulers_own(scheduler: dict[str, Any], epochs: float | None) -> None:
    space = space_of(scheduler)
    course = run(space, frozen(space, 10), seed=3)
    assert course.epochs[0] == 9  # the baseline
    assert set(course.epochs) <= {1, 3, 9}
    assert 9 + 9 * 1 <= sum(course.epochs) < 10 * 9
    if epochs is not None:
        assert sum(course.epochs) == epochs


def test_workers_share_the_trials() -> None:
    space = space_of()
    configs = [space.config({"freeze": 0})] * 4
    alone, four = run(space, configs), run(space, configs, replace(MACHINE, workers=4))
    assert four.seconds == pytest.approx(alone.seconds / 4)
    assert sum(four.trial_seconds.values()) == pytest.approx(sum(alone.trial_seconds.values()))


def test_a_worker_waits_for_features_that_another_one_computes() -> None:
    space = space_of(epochs=1)
    course = run(space, frozen(space, 2), replace(MACHINE, workers=2))
    assert course.seconds == pytest.approx(0.5 + 0.05 * 120)


def test_limits_stop_trials_at_their_next_evaluation() -> None:
    space = space_of()
    configs = [space.config({"freeze": 0})] * 4
    epoch = run(space, configs[:1]).seconds / 9
    hours = run(space, configs, replace(MACHINE, limit_seconds=9.5 * epoch))
    assert hours.cut_short
    assert hours.epochs == [9, 1]
    together = run(space, configs, replace(MACHINE, workers=2, limit_trial_seconds=9.5 * epoch))
    assert together.epochs == [5, 5] or together.epochs == [5, 4]
    assert not run(space, configs[:1], replace(MACHINE, limit_seconds=9.5 * epoch)).cut_short


def test_the_same_search_has_the_same_course() -> None:
    space = space_of({"kind": "asha", "grace_epochs": 1})
    assert run(space, frozen(space, 8), seed=1) == run(space, frozen(space, 8), seed=1)
