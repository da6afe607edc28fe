from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import FrozenTrial, TrialState

from search_spaces.axes import Value
from search_spaces.space import Space
from tuner.ray_backend.sampler import Direction, Kind, PastTrial, Sampler, make_sampler


def space(**changes: Any) -> Space:
    axes = {
        "head.width": {"int": [64, 512], "log": True, "when": {"head.kind": ["mlp"]}},
        "head.kind": {"choice": ["linear", "mlp"]},
        "optimizer.lr": {"float": [1e-5, 1e-2], "log": True},
    }
    given = {
        "version": 1,
        "scheduler": "none",
        "fixed": {"epochs": 6, "backbone": "resnet18"},
        "baseline": {},
        "axes": axes,
    }
    return Space.model_validate(given | changes)


GRID: dict[str, Any] = {
    "axes": {"freeze": {"choice": ["all", 2, 0]}, "augment": {"choice": ["none", "light"]}},
    "sampler": "grid",
}


class Live:
    """A sampler in use, and what an event log would say of it."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.past: list[PastTrial] = []

    def run(self, status: str, values: list[float | None], best: float | None = None) -> dict[str, Value]:
        trial = f"t{len(self.past) + 1:04}"
        params = self.sampler.ask(trial)
        assert params is not None
        steps = list(enumerate(values, start=1))
        for step, value in steps:
            self.sampler.report(trial, step, value)
        self.sampler.tell(trial, status, best)
        self.past.append(PastTrial(trial, params, steps, status, best))
        return params

    def run_many(self, count: int) -> list[dict[str, Value]]:
        asked = []
        for number in range(count):
            value = (number * 37 % 100) / 100
            if number % 5 == 4:
                asked.append(self.run("pruned", [value], value))
            else:
                asked.append(self.run("complete", [value, value / 2, value], value))
        return asked


def live(kind: Kind = "tpe", direction: Direction = "maximize", seed: int = 7, **changes: Any) -> Live:
    return Live(make_sampler(space(**changes), kind, direction, seed, n_startup_trials=5))


def memory(sampler: Sampler) -> list[tuple[Any, ...]]:
    return [(t.params, t.distributions, t.state, t.values, t.intermediate_values) for t in remembered(sampler)]


def remembered(sampler: Sampler) -> list[FrozenTrial]:
    trials: list[FrozenTrial] = sampler.trials  # type: ignore[attr-defined]
    return trials


@pytest.mark.parametrize("kind", ["tpe", "random", "grid"])
def test_the_baseline_is_asked_first(kind: Kind) -> None:
    for given in (space(**GRID), space(**GRID, baseline={"freeze": "50%"})):
        assert make_sampler(given, kind, "maximize", 0).ask("t0001") == given.baseline_params()


def test_conditional_axes_are_drawn_only_where_they_exist() -> None:
    asked = live().run_many(40)
    assert {params["head.kind"] for params in asked} == {"linear", "mlp"}
    for params in asked:
        assert ("head.width" in params) == (params["head.kind"] == "mlp")
        assert space().config(params)


def test_params_come_in_file_order() -> None:
    asked = next(params for params in live().run_many(20) if params["head.kind"] == "mlp")
    assert list(asked) == ["head.width", "head.kind", "optimizer.lr"]


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_the_same_seed_gives_the_same_sequence(kind: Kind) -> None:
    asked = live(kind).run_many(15)
    assert live(kind).run_many(15) == asked
    assert live(kind, seed=8).run_many(15) != asked
    assert len({params["optimizer.lr"] for params in asked}) == 15


def test_tpe_finds_the_better_region() -> None:
    running = live()
    for number in range(40):
        trial = f"t{number}"
        params = running.sampler.ask(trial)
        assert params is not None
        running.sampler.tell(trial, "complete", -((math.log10(params["optimizer.lr"]) + 4.5) ** 2))
    late = [trial.params["optimizer.lr"] for trial in remembered(running.sampler)[-15:]]
    assert sum(1e-5 <= lr <= 1e-4 for lr in late) >= 10


@pytest.mark.parametrize(("direction", "best"), [("maximize", [0.3, 0.5, 0.5]), ("minimize", [0.3, 0.3, 0.2])])
def test_intermediate_values_are_the_best_so_far(direction: Direction, best: list[float]) -> None:
    running = live(direction=direction)
    running.run("pruned", [0.3, 0.5, 0.2], best[-1])
    assert list(remembered(running.sampler)[0].intermediate_values.values()) == best


def test_repeated_steps_replace_what_followed_them() -> None:
    sampler = live().sampler
    sampler.ask("t1")
    for step, value in [(1, 0.1), (2, 0.9), (3, 0.9), (2, 0.2)]:
        sampler.report("t1", step, value)
    sampler.tell("t1", "pruned", 0.2)
    assert remembered(sampler)[0].intermediate_values == {1: 0.1, 2: 0.2}


@pytest.mark.parametrize(
    ("status", "best", "state", "value"),
    [
        ("complete", 0.5, TrialState.COMPLETE, 0.5),
        ("early_stopped", 0.5, TrialState.COMPLETE, 0.5),
        ("pruned", 0.5, TrialState.PRUNED, 0.5),
        ("pruned", None, TrialState.PRUNED, -math.inf),
        ("pruned", math.nan, TrialState.PRUNED, -math.inf),
        ("complete", None, TrialState.PRUNED, -math.inf),
        ("failed", None, TrialState.FAIL, None),
        ("lost", 0.5, TrialState.FAIL, None),
        ("paused", 0.5, TrialState.PRUNED, 0.5),
        ("running", 0.5, TrialState.RUNNING, None),
    ],
)
def test_every_status_has_its_state_and_value(
    status: str, best: float | None, state: TrialState, value: float | None
) -> None:
    running = live()
    running.run(status, [0.5, 0.4], best)
    trial = remembered(running.sampler)[0]
    assert (trial.state, trial.value) == (state, value)
    again = live()
    again.sampler.replay(running.past)
    assert [t.state for t in remembered(again.sampler)] == [state]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_trial_that_diverged_late_ranks_below_every_pruned_one(direction: Direction) -> None:
    running = live(direction=direction)
    best, worst = (0.9, 0.1) if direction == "maximize" else (0.1, 0.9)
    running.run("pruned", [best, best, best, None], best)  # its last report could not be computed
    running.run("pruned", [best, best, best, math.nan], None)
    running.run("pruned", [best] * 8)  # told to have diverged, though its reports look well
    for _ in range(3):
        running.run("pruned", [worst], worst)
    study = optuna.create_study(direction=direction)
    below, above = _split_trials(study, remembered(running.sampler), 3)
    assert [trial.number for trial in below] == [3, 4, 5]
    assert [trial.number for trial in above] == [0, 1, 2]


def test_a_failed_trial_teaches_nothing() -> None:
    def asked_after(trials: list[tuple[str, float | None]]) -> dict[str, Value]:
        sampler = make_sampler(space(), "tpe", "maximize", 0, n_startup_trials=1)
        lrs = [1e-5, 1e-2, 3e-4]
        past = [
            PastTrial(f"t{lr}", {"head.kind": "linear", "optimizer.lr": lr}, (), status, value)
            for lr, (status, value) in zip(lrs, trials, strict=True)
        ]
        sampler.replay(past)
        return sampler.ask("next") or {}

    known = [("complete", 0.1), ("complete", 0.9)]
    assert asked_after([*known, ("failed", None)]) == asked_after([*known, ("lost", 0.99)])
    assert asked_after([*known, ("failed", None)]) != asked_after([*known, ("complete", 0.99)])


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_replayed_sampler_has_the_same_memory_and_goes_on_alike(kind: Kind) -> None:
    running = live(kind)
    running.run_many(12)
    running.run("failed", [0.4], None)
    running.run("pruned", [0.4, None], 0.4)
    again = live(kind)
    assert again.sampler.replay(running.past) == []
    assert memory(again.sampler) == memory(running.sampler)
    asked = again.run_many(4)
    assert asked == running.run_many(4)
    assert not any(params in [past.params for past in running.past[:14]] for params in asked)


def test_trials_in_flight_can_be_told_after_a_replay() -> None:
    running = live()
    running.run_many(8)
    running.run("running", [0.3, 0.6])
    running.run("paused", [0.2])
    again = live()
    again.sampler.replay(running.past)
    assert memory(again.sampler) == memory(running.sampler)
    for sampler in (running.sampler, again.sampler):
        sampler.report("t0009", 3, 0.5)
        sampler.tell("t0009", "complete", 0.6)
    assert memory(again.sampler) == memory(running.sampler)
    assert remembered(again.sampler)[8].intermediate_values == {1: 0.3, 2: 0.6, 3: 0.6}
    assert again.sampler.ask("t0011")


def test_a_trial_is_told_once() -> None:
    sampler = live().sampler
    sampler.ask("t1")
    sampler.tell("t1", "complete", 0.5)
    with pytest.raises(KeyError):
        sampler.tell("t1", "complete", 0.5)


@pytest.mark.parametrize("kind", ["tpe", "random", "grid"])
def test_past_trials_outside_todays_axes_are_named_and_skipped(kind: Kind) -> None:
    narrower = space(**GRID)
    past = [
        PastTrial("t1", {"freeze": "all", "augment": "none"}, [(1, 0.5)], "complete", 0.5),
        PastTrial("t2", {"freeze": 3, "augment": "none"}, [(1, 0.5)], "complete", 0.5),
        PastTrial("t3", {"freeze": 2, "augment": "none", "optimizer.lr": 1e-3}, [(1, 0.5)], "complete", 0.5),
        PastTrial("t4", {"freeze": 2}, [(1, 0.5)]),
    ]
    sampler = make_sampler(narrower, kind, "maximize", 0)
    assert sampler.replay(past) == ["t2", "t3", "t4"]
    sampler.report("t4", 2, 0.5)
    sampler.tell("t4", "complete", 0.5)
    assert sampler.ask("t5") is not None


def test_a_baseline_outside_the_axes_does_not_part_them_for_tpe() -> None:
    outside = live(baseline={"optimizer.lr": 0.5})
    outside.run("complete", [0.5], 0.5)
    assert remembered(outside.sampler) == []
    outside.run_many(3)
    assert len(remembered(outside.sampler)) == 3


@pytest.mark.parametrize("answers", ["complete", "pruned"])
def test_a_grid_asks_every_point_once_in_order(answers: str) -> None:
    sampler = make_sampler(space(**GRID), "grid", "maximize", 0)
    asked: list[dict[str, Value]] = []
    while (params := sampler.ask(f"t{len(asked)}")) is not None:
        sampler.report(f"t{len(asked)}", 1, 0.5)
        sampler.tell(f"t{len(asked)}", answers, 0.5)
        asked.append(params)
    assert asked == list(space(**GRID).grid())  # the baseline is its first point
    assert sampler.ask("more") is None


def test_a_grid_asks_a_baseline_off_its_points_before_them() -> None:
    off = space(**GRID, baseline={"freeze": "50%", "augment": "light"})
    sampler = make_sampler(off, "grid", "maximize", 0)
    assert [sampler.ask(f"t{number}") for number in range(7)] == [{"augment": "light"}, *off.grid()]


def test_a_replayed_grid_goes_on_where_it_was() -> None:
    running = live("grid", **GRID)
    done = [running.run("complete", [0.5], 0.5) for _ in range(2)]
    again = live("grid", **GRID)
    assert again.sampler.replay(running.past) == []
    rest = [again.run("complete", [0.5], 0.5) for _ in range(4)]
    assert done + rest == list(space(**GRID).grid())


def test_options_that_optuna_cannot_store_come_back_whole() -> None:
    two = [{"epochs": 2, "freeze": "all", "lr": None}, {"epochs": 4, "freeze": 0, "lr": None}]
    running = live("random", axes={"stages": {"choice": [[], two]}})
    asked = running.run_many(12)
    assert all(params["stages"] in ([], two) for params in asked)
    assert any(params["stages"] == two for params in asked)


def test_optuna_keeps_quiet_and_its_settings_stay(capfd: pytest.CaptureFixture[str]) -> None:
    optuna.logging.enable_default_handler()
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error", optuna.exceptions.ExperimentalWarning)
        live().run_many(8)
    assert capfd.readouterr().err == ""
    assert optuna.logging.get_verbosity() == before
    assert logging.getLogger("optuna").level == before


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_paused_trial_teaches_as_a_pruned_one_until_it_goes_on(kind: Kind) -> None:
    halted, pruned = live(kind), live(kind)
    for running, status in ((halted, "paused"), (pruned, "pruned")):
        running.run_many(6)
        running.run(status, [0.5, 0.4], 0.5)
    assert memory(halted.sampler) == memory(pruned.sampler)
    assert halted.run_many(2) == pruned.run_many(2)


@pytest.mark.parametrize("status", ["paused", "failed", "lost"])
@pytest.mark.parametrize("asked_between", [False, True])
def test_a_trial_that_goes_on_is_remembered_once_as_it_ended(status: str, asked_between: bool) -> None:
    paused, whole = live(), live()
    for running in (paused, whole):
        running.run_many(6)
    paused.run(status, [0.5, 0.4], 0.5)
    going_on = paused.past[-1].trial
    paused.sampler.resume(going_on)
    if asked_between:
        assert remembered(paused.sampler)[-1].state is TrialState.RUNNING
    for step, value in ((3, 0.7), (4, 0.6)):
        paused.sampler.report(going_on, step, value)
    paused.sampler.tell(going_on, "complete", 0.7)
    whole.run("complete", [0.5, 0.4, 0.7, 0.6], 0.7)
    assert memory(paused.sampler) == memory(whole.sampler)
    assert paused.run_many(2) == whole.run_many(2)


def test_a_trial_may_pause_and_go_on_more_than_once() -> None:
    running = live()
    running.run_many(6)
    running.run("paused", [0.5], 0.5)
    trial = running.past[-1].trial
    for step in (2, 3):
        running.sampler.resume(trial)
        running.sampler.report(trial, step, 0.5)
        running.sampler.tell(trial, "paused", 0.5)
    last = remembered(running.sampler)[-1]
    assert (last.state, last.value, list(last.intermediate_values)) == (TrialState.PRUNED, 0.5, [1, 2, 3])


def test_a_paused_trial_of_a_log_may_go_on() -> None:
    running, again = live(), live()
    running.run("paused", [0.5], 0.5)
    again.sampler.replay(running.past)
    for sampler in (running.sampler, again.sampler):
        sampler.resume(running.past[-1].trial)
        sampler.tell(running.past[-1].trial, "complete", 0.6)
    assert memory(again.sampler) == memory(running.sampler)


def test_a_trial_that_was_paused_before_it_had_a_value_teaches_nothing() -> None:
    running = live()
    running.run("paused", [], None)
    assert remembered(running.sampler)[0].state is TrialState.FAIL


def test_a_complete_trial_does_not_go_on() -> None:
    running = live()
    running.run("complete", [0.5], 0.5)
    with pytest.raises(KeyError):
        running.sampler.resume(running.past[-1].trial)
