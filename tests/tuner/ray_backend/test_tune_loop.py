"""Tune's two adaptors, without a Ray that runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from trainable.config import parse_config
from tuner.config import Resources
from tuner.ray_backend import staffing
from tuner.ray_backend.phase import Phases
from tuner.ray_backend.proposals import Proposal
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.tune_loop import _Asker, _id, _Interruption, _Reporter
from tuner.ray_backend.worker import Assignment, TrialActor

ASSIGNMENT = Assignment("/search", "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)


@pytest.fixture(autouse=True)
def _two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of which may have a worker at once."""
    monkeypatch.setattr(staffing, "LONGEST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})


def proposal(trial: str, **fields: Any) -> Proposal:
    return Proposal(trial, parse_config({"backbone": "resnet18", **fields}), ASSIGNMENT)


@dataclass
class FakeDriver:
    """Stops trials whose value is below a half; tells what it was told."""

    asks: int = 3
    running: dict[str, Any] = field(default_factory=dict)
    told: list[tuple[Any, ...]] = field(default_factory=list)

    def ask(self) -> Proposal | None:
        if not self.asks:
            return None
        self.asks -= 1
        trial = f"t{len(self.running) + 1:04}"
        found = proposal(trial)
        self.running[trial] = SimpleNamespace(proposal=found)
        return found

    def report(self, trial: str, report: Mapping[str, Any]) -> bool:
        self.told.append(("report", trial, report["epoch"]))
        return bool(report["status"] != "running" or report["value"] < 0.5)

    def end(self, trial: str, status: str, error: str | None = None, **facts: str) -> None:
        self.told.append(("end", trial, status, error, *facts))

    def retry(self, trial: str) -> None:
        self.told.append(("retry", trial))

    def short_of_memory(self, trial: str, micro_batch: int | None, **facts: Any) -> None:
        self.told.append(("short_of_memory", trial, micro_batch, facts))

    def crowded_out(self, trial: str) -> None:
        self.told.append(("crowded_out", trial))

    def stopped_early(self, trial: str) -> str:  # noqa: ARG002
        return "pruned"


@pytest.fixture
def driver() -> Any:
    return FakeDriver()


def phases_of(*drivers: Any) -> Phases:
    return Phases(iter(drivers))


@pytest.fixture
def reporter(driver: Any) -> _Reporter:
    """Of a driver whose trial t0001 runs."""
    driver.ask()
    return _Reporter(phases_of(driver), Slots(Resources()))


def tune_trial(error: Exception | None = None) -> Any:
    """Tune's own object, as far as it is used."""
    return SimpleNamespace(
        config={"trial": "t0001", "run": 1}, get_pickled_error=lambda: error, ERROR="ERROR", status="RUNNING"
    )


def result(epoch: float, value: float = 0.9, status: str = "running") -> dict[str, Any]:
    return {"report": json.dumps({"epoch": epoch, "value": value, "status": status})}


def test_trials_are_handed_out_while_there_is_room(driver: Any) -> None:
    asker = _Asker(phases_of(driver), Slots(Resources()))
    first = asker.suggest("a")
    assert first["trial"] == "t0001"
    assert json.loads(json.dumps(first)) == first
    assert Assignment(**first["assignment"]) == ASSIGNMENT
    assert first["resources"] == TrialActor.default_resource_request(first) == {"cpu": 1, "gpu": 0}
    assert asker.suggest("b")["trial"] == "t0002"
    assert asker.suggest("c") is None
    driver.running.clear()
    driver.asks = 0
    assert asker.suggest("d") == Searcher.FINISHED


def test_the_search_is_not_over_while_a_running_trial_may_promote_another(driver: Any) -> None:
    asker = _Asker(phases_of(driver), Slots(Resources()))
    asker.suggest("a")
    driver.asks = 0
    assert asker.suggest("b") is None
    driver.running.clear()
    assert asker.suggest("c") == Searcher.FINISHED


def test_a_phase_begins_when_nothing_of_the_one_before_runs(driver: Any) -> None:
    following = FakeDriver(asks=1)
    asker = _Asker(phases_of(driver, following), Slots(Resources()))
    driver.asks = 1
    asker.suggest("a")
    assert asker.suggest("b") is None
    assert not following.running
    driver.running.clear()
    assert asker.suggest("c")["trial"] in following.running
    following.running.clear()
    assert asker.suggest("d") == Searcher.FINISHED


def test_a_trial_that_goes_on_has_a_folder_of_its_own(driver: Any) -> None:
    asker = _Asker(phases_of(driver), Slots(Resources()))
    names = []
    for _ in range(2):
        names.append(_id(SimpleNamespace(config=asker.suggest("a"))))
        driver.running.clear()
    assert names == ["t0001", "t0001-2"]


def test_a_trial_is_stopped_as_the_driver_says(driver: Any, reporter: _Reporter) -> None:
    assert reporter.on_trial_result(None, tune_trial(), result(1)) == TrialScheduler.CONTINUE
    assert reporter.on_trial_result(None, tune_trial(), result(2, value=0.1)) == TrialScheduler.STOP
    reporter.on_trial_complete(None, tune_trial(), {})
    assert driver.told == [("report", "t0001", 1), ("report", "t0001", 2), ("end", "t0001", "pruned", None)]


def test_the_last_epoch_comes_with_the_end(driver: Any, reporter: _Reporter) -> None:
    reporter.on_trial_complete(None, tune_trial(), result(1, status="complete"))
    assert driver.told == [("report", "t0001", 1), ("end", "t0001", "complete", None)]


def test_a_trial_may_end_itself(driver: Any, reporter: _Reporter) -> None:
    ended = {"ended": json.dumps({"status": "failed", "error": "no disk", "traceback": "..."})}
    reporter.on_trial_complete(None, tune_trial(), ended)
    assert driver.told == [("end", "t0001", "failed", "no disk", "traceback")]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "the worker process died"),
        (RuntimeError("The actor died unexpectedly.\nmore"), "the worker process died"),
        (
            RuntimeError("The actor died because of an error raised in its creation task, x\nNo module named 'tuner'"),
            "the worker process could not start: No module named 'tuner'",
        ),
    ],
)
def test_a_dead_worker_loses_its_trial(error: Exception | None, reason: str, driver: Any, reporter: _Reporter) -> None:
    reporter.on_trial_error(None, tune_trial(error))
    assert driver.told == [("end", "t0001", "lost", reason)]


def test_a_dead_worker_s_trial_is_taken_up_again(driver: Any, reporter: _Reporter) -> None:
    trial = tune_trial()
    trial.status = trial.ERROR  # what Tune makes of it before it queues it again
    reporter.on_trial_error(None, trial)
    assert driver.told == [("retry", "t0001")]


def test_a_process_that_takes_up_a_trial_again_passes_as_few_images_at_once(driver: Any, reporter: _Reporter) -> None:
    trial = tune_trial()
    trial.config["config"] = {"batch_size": 12, "micro_batch": None}
    trial.set_config = lambda config: setattr(trial, "config", config)
    for less in ({"micro_batch": None}, {"micro_batch": 6, "trains_batch_norm": True}):
        assert reporter.on_trial_result(None, trial, {"short_of_memory": json.dumps(less)}) == TrialScheduler.CONTINUE
    assert driver.told == [
        ("short_of_memory", "t0001", None, {}),
        ("short_of_memory", "t0001", 6, {"trains_batch_norm": True}),
    ]
    assert trial.config["config"] == {"batch_size": 12, "micro_batch": 6}


def test_a_trial_that_was_short_of_memory_on_its_share_has_not_ended(driver: Any, reporter: _Reporter) -> None:
    reporter.on_trial_complete(None, tune_trial(), {"crowded_out": True, "done": True})
    assert driver.told == [("crowded_out", "t0001")]


def test_an_interruption_stops_all() -> None:
    interrupted = threading.Event()
    stopper = _Interruption(interrupted)
    assert not stopper.stop_all()
    assert not stopper("t0001", {})
    interrupted.set()
    assert stopper.stop_all()
