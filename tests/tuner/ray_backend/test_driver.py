"""The driver without Ray: reports go in by hand, the log and the decisions come out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from small_searches import MakeSpace, tiny_space

from search_spaces.axes import Value
from search_spaces.space import load_space
from trainable.metrics import parse_objective
from tuner.ray_backend import driver as driver_module
from tuner.ray_backend.allowance import Allowance
from tuner.ray_backend.driver import Driver, search_driver
from tuner.ray_backend.sampler import PastTrial
from tuner.ray_backend.worker import Assignment
from tuner.replay import replay
from tuner.store import Event, Store

MakeDriver = Callable[..., Driver]

ASHA = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 2}
PAUSING = {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2}
LONG = {**tiny_space()["fixed"], "epochs": 8}


class SpySampler:
    """Asks for the baseline and then for a rising learning rate; remembers what it is told."""

    def __init__(self, points: int = 100) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._points = iter(
            {"optimizer.lr": 1e-4 * step, "freeze": 2, "head.kind": "linear"} for step in range(1, points)
        )

    def ask(self, trial: str) -> dict[str, Value] | None:
        self.told.append(("ask", trial))
        return next(self._points, None)

    def report(self, trial: str, step: int, value: float | None) -> None:
        self.told.append(("report", trial, step, value))

    def tell(self, trial: str, status: str, value: float | None) -> None:
        self.told.append(("tell", trial, status, value))

    def resume(self, trial: str) -> None:
        self.told.append(("resume", trial))

    def replay(self, past: Iterable[PastTrial]) -> list[str]:  # noqa: ARG002
        return []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "results", "driven")


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> SpySampler:
    spy = SpySampler()
    monkeypatch.setattr(driver_module, "make_sampler", lambda *_, **__: spy)
    return spy


@pytest.fixture
def make_driver(store: Store, make_space: MakeSpace) -> MakeDriver:
    """make_driver(trials=5, scheduler=ASHA): a driver of the tiny space with these sections."""

    def make(
        trials: int = 10,
        allowance: Allowance | None = None,
        **sections: Any,
    ) -> Driver:
        space = load_space(make_space(**sections))
        assignment = Assignment(str(store.folder), "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 1)
        return search_driver(
            store,
            space,
            parse_objective(space.objective),
            assignment,
            trials=trials,
            seed=0,
            allowance=allowance or Allowance(),
            weights_sha256={},
            split_sizes={"train": 28, "val": 6},
        )

    return make


def report(epoch: float, value: float, best: float | None = None, status: str = "running") -> Mapping[str, Any]:
    """An epoch as a worker tells of it."""
    best_value = value if best is None else best
    return {
        "epoch": epoch,
        "step": math.ceil(epoch),
        "value": value,
        "best_value": best_value,
        "best_epoch": epoch if best is None else 1,
        "val": {"f2_macro": value},
        "status": status,
        "per_label": {"red": {"f2": value}},
        "labels_left_out": [],
        "thresholds": [0.5],
        "node": "here",
    }


def asked(driver: Driver) -> str:
    found = driver.ask()
    assert found is not None
    return found.trial


def kinds(store: Store) -> list[tuple[str, str | None]]:
    return [(event["kind"], event.get("trial")) for event in store.events()]


def test_a_trial_is_told_in_order(make_driver: MakeDriver, store: Store, sampler: SpySampler) -> None:
    driver = make_driver()
    trial = asked(driver)
    assert driver.report(trial, report(1, 0.25)) is False
    assert driver.report(trial, report(2, 0.5, status="complete")) is True
    driver.end(trial, "complete")
    assert kinds(store) == [
        ("trial_started", "t0001"),
        ("epoch", "t0001"),
        ("epoch", "t0001"),
        ("trial_ended", "t0001"),
    ]
    record = replay(store.events()).trials[0]
    assert (record.status, record.best_value, record.best_epoch) == ("complete", 0.5, 2)
    assert record.best_details == {"per_class": {"red": {"f2": 0.5}}, "labels_left_out": [], "thresholds": [0.5]}
    assert sampler.told == [
        ("ask", "t0001"),
        ("report", "t0001", 1, 0.25),
        ("report", "t0001", 2, 0.5),
        ("tell", "t0001", "complete", 0.5),
    ]


def test_what_workers_warn_of_is_a_note_once(make_driver: MakeDriver, store: Store) -> None:
    driver = make_driver()
    for _ in range(2):
        trial = asked(driver)
        driver.report(trial, {**report(1, 0.5), "warning": "/cache: no space left"})
        driver.report(trial, {**report(2, 0.5, status="complete"), "warning": "/cache: no space left"})
        driver.end(trial, "complete")
    record = replay(store.events())
    assert [(note.trial, note.text) for note in record.notes] == [(None, "/cache: no space left")]


def test_details_of_the_best_stay_with_its_epoch(make_driver: MakeDriver, store: Store) -> None:
    driver = make_driver()
    trial = asked(driver)
    driver.report(trial, report(1, 0.5))
    driver.report(trial, report(2, 0.25, best=0.5))
    first, second = [event for event in store.events() if event["kind"] == "epoch"]
    assert first["best"]["thresholds"] == [0.5]
    assert "best" not in second
    assert not {"status", "per_label", "thresholds"} & second.keys()


def test_every_event_is_in_the_log_before_anyone_hears_of_it(
    make_driver: MakeDriver, store: Store, sampler: SpySampler
) -> None:
    heard: list[int] = []

    def hear(event: Event) -> None:
        logged = list(store.events())
        assert logged[-1] == event
        if event["kind"] == "epoch":
            assert ("report", event["trial"], event["epoch"], event["value"]) not in sampler.told
        if event["kind"] == "trial_ended":
            assert not any(told[0] == "tell" for told in sampler.told)
        heard.append(event["seq"])

    store.listeners.append(hear)
    driver = make_driver()
    trial = asked(driver)
    driver.report(trial, report(1, 0.5))
    driver.end(trial, "complete")
    assert heard == [1, 2, 3]


def test_the_baseline_comes_first(make_driver: MakeDriver, store: Store) -> None:
    driver = make_driver(baseline={"freeze": "all", "optimizer.lr": 0.5, "head.kind": "mlp"})
    found = driver.ask()
    assert found is not None
    assert found.trial == "t0001"
    assert (found.config.optimizer.lr, found.config.head.kind) == (0.5, "mlp")  # a rate that lies on no axis
    assert asked(driver) == "t0002"
    first, second = replay(store.events()).trials
    assert (first.baseline, second.baseline) == (True, False)
    assert (first.freeze_blocks, first.total_blocks) == (5, 5)


def test_asking_ends_with_the_budget(make_driver: MakeDriver) -> None:
    driver = make_driver(trials=2)
    assert [asked(driver), asked(driver)] == ["t0001", "t0002"]
    assert driver.ask() is None
    assert not driver.cut_short


def test_asking_ends_with_the_grid(make_driver: MakeDriver) -> None:
    axes = {"optimizer.lr": {"choice": [1e-3, 1e-2]}}
    driver = make_driver(trials=10, sampler="grid", axes=axes)
    assert [asked(driver), asked(driver)] == ["t0001", "t0002"]  # the baseline is a point of the grid
    assert driver.ask() is None
    assert driver.ask() is None
    assert not driver.cut_short


def test_the_deadline_stops_asking_and_pauses_what_runs(make_driver: MakeDriver) -> None:
    now = 100.0
    driver = make_driver(allowance=Allowance(hours=1, clock=lambda: now))
    trial = asked(driver)
    assert not driver.report(trial, report(1, 0.5))
    now = 3700.0
    assert not driver.cut_short
    assert driver.report(trial, report(2, 0.6))
    assert driver.stopped_early(trial) == "paused"
    assert driver.ask() is None
    assert driver.cut_short


def test_a_deadline_after_the_last_trial_cuts_nothing_short(make_driver: MakeDriver) -> None:
    now = 100.0
    driver = make_driver(trials=1, allowance=Allowance(hours=1, clock=lambda: now))
    trial = asked(driver)
    now = 3800.0
    assert driver.report(trial, report(2, 0.5, status="complete"))
    assert driver.ask() is None
    assert not driver.cut_short


def test_a_second_end_is_ignored(make_driver: MakeDriver, store: Store, sampler: SpySampler) -> None:
    driver = make_driver()
    trial = asked(driver)
    driver.report(trial, report(1, 0.5))
    driver.end(trial, "lost", "the worker process died")
    driver.end(trial, "paused")
    driver.end("t0099", "complete")
    assert kinds(store)[-1] == ("trial_ended", trial)
    assert replay(store.events()).trials[0].status == "lost"
    assert sampler.told[-1] == ("tell", trial, "lost", 0.5)
    assert [told[0] for told in sampler.told].count("tell") == 1


def test_a_trial_whose_process_died_goes_on(make_driver: MakeDriver, store: Store, sampler: SpySampler) -> None:
    driver = make_driver()
    trial = asked(driver)
    driver.report(trial, report(1, 0.5))
    driver.put_back(trial, "its node died")
    assert asked(driver) == trial
    last = list(store.events())[-1]
    assert (last["kind"], last["trial"], last["reason"]) == ("trial_resumed", trial, "its node died")
    driver.report(trial, report(2, 0.75, status="complete"))
    driver.end(trial, "complete")
    record = replay(store.events()).trials[0]
    assert (record.status, record.epochs_run, record.best_value) == ("complete", 2, 0.75)
    assert [told[0] for told in sampler.told] == ["ask", "report", "report", "tell"]


def test_a_report_is_taken_in_once(make_driver: MakeDriver, store: Store, sampler: SpySampler) -> None:
    driver = make_driver()
    trial = asked(driver)
    for epoch in (0.25, 0.25, 0.5, 0.25, 1, 0.5):  # Tune may tell the last one twice
        driver.report(trial, report(epoch, 0.5))
    driver.put_back(trial, "the worker process died")
    driver.ask()
    for epoch in (1, 2):  # and a trial that goes on repeats its last one
        driver.report(trial, report(epoch, 0.5))
    assert [event["epoch"] for event in store.events() if event["kind"] == "epoch"] == [0.25, 0.5, 1, 2]
    assert len([told for told in sampler.told if told[0] == "report"]) == 4


def test_a_trial_that_ran_out_of_memory_begins_anew_with_less(
    make_driver: MakeDriver, store: Store, sampler: SpySampler
) -> None:
    driver = make_driver()
    trial = asked(driver)
    driver.report(trial, report(1, 0.5))
    driver.short_of_memory(trial, None)
    driver.report(trial, report(1, 0.5))  # told again
    driver.short_of_memory(trial, 6, trains_batch_norm=True)
    driver.report(trial, report(1, 0.25))
    driver.end(trial, "complete")
    told = ["trial_started", "epoch", "trial_resumed", "trial_resumed", "epoch", "trial_ended"]
    assert [kind for kind, _ in kinds(store)] == told
    record = replay(store.events()).trials[0]
    assert (record.config["micro_batch"], record.best_value) == (6, 0.25)
    assert sampler.told[-1] == ("tell", trial, "complete", 0.25)


def test_a_promoted_trial_keeps_its_micro_batch(make_driver: MakeDriver) -> None:
    driver = make_driver(scheduler={"kind": "one_epoch", "keep": 1}, fixed=LONG, trials=2)
    driver.report(asked(driver), report(1, 0.9))
    trial = asked(driver)
    driver.short_of_memory(trial, 6)
    halt(driver, trial, 1, 0.5)
    promoted = driver.ask()
    assert promoted is not None
    assert (promoted.trial, promoted.config.micro_batch) == (trial, 6)


def test_a_trial_that_was_put_back_is_handed_out_again_before_others(make_driver: MakeDriver, store: Store) -> None:
    driver = make_driver(trials=3)
    first, second = asked(driver), asked(driver)
    driver.report(second, report(1, 0.5))
    driver.put_back(second, "out of memory")
    assert set(driver.running) == {first}
    assert asked(driver) == second
    assert kinds(store)[-1] == ("trial_resumed", second)
    driver.put_back(second, "out of memory")
    driver.pause()
    assert not driver.running
    assert [trial.status for trial in replay(store.events()).trials] == ["paused", "paused"]


def test_a_trial_that_was_put_back_is_paused_when_the_time_is_over(make_driver: MakeDriver, store: Store) -> None:
    now = 0.0
    driver = make_driver(allowance=Allowance(hours=1, clock=lambda: now))
    driver.put_back(asked(driver), "out of memory")
    now = 4000.0
    assert driver.ask() is None
    assert driver.cut_short
    assert [trial.status for trial in replay(store.events()).trials] == ["paused"]


def test_a_trial_that_has_ended_does_not_go_on(make_driver: MakeDriver, store: Store) -> None:
    driver = make_driver()
    trial = asked(driver)
    driver.end(trial, "complete")
    driver.put_back(trial, "the worker process died")
    assert kinds(store)[-1] == ("trial_ended", trial)


def test_the_sampler_is_told_how_each_trial_ended(make_driver: MakeDriver, sampler: SpySampler) -> None:
    driver = make_driver()
    endings = [
        ("complete", None),
        ("early_stopped", None),
        ("pruned", None),
        ("pruned", "diverged"),
        ("failed", "no disk"),
    ]
    for status, error in endings:
        trial = asked(driver)
        driver.report(trial, report(1, 0.5))
        driver.end(trial, status, error)
    told = [(status, value) for kind, _, status, value in (line for line in sampler.told if line[0] == "tell")]
    assert told == [("complete", 0.5), ("early_stopped", 0.5), ("pruned", 0.5), ("pruned", None), ("failed", 0.5)]


def test_halving_stops_the_worse_but_never_the_baseline(make_driver: MakeDriver) -> None:
    driver = make_driver(scheduler=ASHA, fixed=LONG)
    baseline, good, bad = asked(driver), asked(driver), asked(driver)
    assert not driver.report(good, report(1, 0.9))
    assert not driver.report(baseline, report(1, 0.1))
    assert driver.report(bad, report(1, 0.2))
    assert driver.stopped_early(bad) == "pruned"
    assert not driver.report(good, report(2, 0.9))
    assert not driver.report(baseline, report(2, 0.1))


def test_halving_compares_the_best_so_far(make_driver: MakeDriver) -> None:
    driver = make_driver(scheduler=ASHA, fixed=LONG)
    _, steady, wavering = asked(driver), asked(driver), asked(driver)
    for trial, first in ((steady, 0.5), (wavering, 0.8)):
        assert not driver.report(trial, report(1, first))
    assert not driver.report(steady, report(2, 0.6))
    assert not driver.report(wavering, report(2, 0.1, best=0.8))


def test_halving_compares_within_strata(make_driver: MakeDriver) -> None:
    axes = {**tiny_space()["axes"], "schedule.kind": {"choice": ["constant", "cosine"]}}
    scheduler = {**ASHA, "within": ["schedule.kind", "head.kind"]}
    driver = make_driver(scheduler=scheduler, fixed=LONG, axes=axes, trials=40)
    strata: dict[tuple[str, str], list[str]] = {}
    driver.ask()
    while (found := driver.ask()) is not None:
        config = found.config
        strata.setdefault((config.schedule.kind, config.head.kind), []).append(found.trial)
    assert len(strata) == 4
    # each stratum's first is the first of its rung, however bad it is beside the other strata; its second is judged
    for place, (first, second, *_) in enumerate(strata.values()):
        assert not driver.report(first, report(1, 0.9 - place * 0.2))
        assert driver.report(second, report(1, 0.85 - place * 0.2))


def test_an_early_stopped_best_counts_at_every_later_rung(make_driver: MakeDriver) -> None:
    driver = make_driver(scheduler=ASHA, fixed=LONG)
    _, patient, slow = asked(driver), asked(driver), asked(driver)
    assert not driver.report(slow, report(1, 0.5))
    assert not driver.report(patient, report(1, 0.9))
    assert driver.report(patient, report(2, 0.8, best=0.9, status="early_stopped"))
    driver.end(patient, "early_stopped")
    assert driver.report(slow, report(2, 0.6))
    assert driver.stopped_early(slow) == "pruned"


def test_a_failed_trial_does_not_count_at_later_rungs(make_driver: MakeDriver) -> None:
    driver = make_driver(scheduler=ASHA, fixed=LONG)
    _, failing, slow = asked(driver), asked(driver), asked(driver)
    assert not driver.report(slow, report(1, 0.5))
    assert not driver.report(failing, report(1, 0.9))
    driver.end(failing, "failed", "no disk")
    assert not driver.report(slow, report(2, 0.6))


def halt(driver: Driver, trial: str, epoch: float, value: float) -> str:
    """Report an epoch at which the trial must stop; the status that it gets."""
    assert driver.report(trial, report(epoch, value))
    status = driver.stopped_early(trial)
    driver.end(trial, status)
    return status


def test_the_best_paused_trial_goes_on_once_all_have_started(
    make_driver: MakeDriver, store: Store, sampler: SpySampler
) -> None:
    driver = make_driver(scheduler=PAUSING, fixed=LONG, trials=5)
    assert not driver.report(asked(driver), report(1, 0.1))  # the baseline is never paused
    for value in (0.5, 0.8, 0.3):
        assert halt(driver, asked(driver), 1, value) == "paused"
    last = asked(driver)
    assert last == "t0005"
    going_on = driver.ask()
    assert going_on is not None
    assert (going_on.trial, going_on.config.epochs) == ("t0003", 8)
    assert going_on.facts["number"] == 2
    event = list(store.events())[-1]
    assert (event["kind"], event["trial"]) == ("trial_resumed", "t0003")
    assert (event["reason"], event["rung"]) == ("promoted to rung 2", 2)
    assert sampler.told[-1] == ("resume", "t0003")
    assert driver.report("t0003", report(1, 0.8)) is False  # repeated, and not halted again
    assert halt(driver, "t0003", 2, 0.9) == "paused"
    driver.end(last, "failed", "no disk")
    found = {trial.id: trial for trial in replay(store.events()).trials}
    assert [trial.status for trial in found.values()] == ["running", "paused", "paused", "paused", "failed"]
    assert [found[trial].facts["rung"] for trial in ("t0002", "t0003")] == [1, 2]
    assert [epoch.epoch for epoch in found["t0003"].epochs] == [1, 2]


def test_a_trial_goes_on_to_the_last_epoch_from_the_last_rung(make_driver: MakeDriver, store: Store) -> None:
    driver = make_driver(scheduler={"kind": "one_epoch", "keep": 1}, fixed=LONG, trials=3)
    assert not driver.report(asked(driver), report(1, 0.9))
    assert [halt(driver, asked(driver), 1, value) for value in (0.2, 0.4)] == ["paused", "paused"]
    assert asked(driver) == "t0003"
    assert list(store.events())[-1]["reason"] == "promoted to the last epoch"
    assert driver.ask() is None
    assert not driver.cut_short


def test_a_pruned_trial_tells_its_rung_and_one_that_ran_out_of_time_has_none(
    make_driver: MakeDriver, store: Store
) -> None:
    now = 100.0
    driver = make_driver(scheduler=ASHA, fixed=LONG, allowance=Allowance(hours=1, clock=lambda: now))
    baseline, bad = asked(driver), asked(driver)
    driver.report(baseline, report(2, 0.9))
    driver.report(baseline, report(3, 0.9))
    assert driver.report(bad, report(2, 0.1))
    driver.end(bad, driver.stopped_early(bad))
    now = 3800.0
    assert halt(driver, baseline, 4, 0.9) == "paused"
    assert [trial.facts.get("rung") for trial in replay(store.events()).trials] == [None, 2]


def test_a_deadline_keeps_paused_trials_from_going_on(make_driver: MakeDriver) -> None:
    now = 100.0
    driver = make_driver(
        scheduler={"kind": "one_epoch", "keep": 1},
        fixed=LONG,
        trials=2,
        allowance=Allowance(hours=1, clock=lambda: now),
    )
    driver.report(asked(driver), report(1, 0.9))
    halt(driver, asked(driver), 1, 0.5)
    now = 3800.0
    assert driver.ask() is None
    assert driver.cut_short


def test_gpu_hours_are_held_to_within_an_epoch_of_each_running_trial(make_driver: MakeDriver, store: Store) -> None:
    now = 0.0
    driver = make_driver(allowance=Allowance(gpu_hours=3, gpus_of=lambda _: 1.0, clock=lambda: now))
    first, second = asked(driver), asked(driver)
    now = 3600.0  # two GPU hours
    assert not driver.report(first, report(1, 0.5))
    assert not driver.report(second, report(1, 0.5))
    now = 5400.0  # three
    assert driver.report(first, report(2, 0.6))
    driver.end(first, driver.stopped_early(first))
    assert driver.ask() is None
    assert driver.report(second, report(2, 0.6))
    driver.end(second, driver.stopped_early(second))
    assert driver.cut_short
    assert [trial.status for trial in replay(store.events()).trials] == ["paused", "paused"]


def test_the_rest_of_a_search_has_what_is_left_of_its_gpu_hours(make_driver: MakeDriver) -> None:
    now = 0.0
    allowance = Allowance(gpu_hours=1, gpus_of=lambda _: 1.0, clock=lambda: now)
    driver = make_driver(trials=1, allowance=allowance)
    trial = asked(driver)
    now = 7200.0
    assert driver.report(trial, report(2, 0.5, status="complete"))
    driver.end(trial, "complete")
    assert make_driver(trials=1, allowance=allowance).ask() is None
