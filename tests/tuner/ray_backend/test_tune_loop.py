"""Tune's two adaptors, without a Ray that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, NodeDiedError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from trainable.config import parse_config
from tuner.config import Resources
from tuner.interruption import Interruption
from tuner.ray_backend import staffing, tune_loop
from tuner.ray_backend.phase import Phases
from tuner.ray_backend.placement import Placement
from tuner.ray_backend.proposals import Proposal
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.tune_loop import _Asker, _id, _Reporter, _StopWhenInterrupted
from tuner.ray_backend.worker import Assignment

ASSIGNMENT = Assignment("/search", "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)


@pytest.fixture(autouse=True)
def _two_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a CPU each, which may have a worker at once; all that runs is on the first."""
    node = {"Alive": True, "Resources": {"CPU": 1.0}}
    monkeypatch.setattr(staffing, "LONGEST_WAIT_SECONDS", 0.0)
    nodes = [{**node, "NodeID": id, "NodeManagerAddress": f"10.0.0.{id}"} for id in ("here", "there")]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(tune_loop, "node_of", lambda _: "here")


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

    def short_of_memory(self, trial: str, micro_batch: int | None, **facts: Any) -> None:
        self.told.append(("short_of_memory", trial, micro_batch, facts))

    def put_back(self, trial: str, reason: str) -> None:
        self.told.append(("put_back", trial, reason))

    def stopped_early(self, trial: str) -> str:  # noqa: ARG002
        return "pruned"


@pytest.fixture
def driver() -> Any:
    return FakeDriver()


def phases_of(*drivers: Any) -> Phases:
    return Phases(iter(drivers))


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def placement(notes: list[str]) -> Placement:
    return Placement(Slots(Resources()), notes.append, Interruption())


@pytest.fixture
def reporter(driver: Any, placement: Placement) -> _Reporter:
    """Of a driver whose trial t0001 runs."""
    driver.ask()
    return _Reporter(phases_of(driver), Slots(Resources()), placement, Interruption())


@pytest.fixture
def dead(tmp_path: Path) -> Callable[[Exception | None], Any]:
    """dead(error): Tune's own object, of an actor that ended with this error."""

    def of(error: Exception | None) -> Any:
        file = tmp_path / "error.pkl"
        file.write_bytes(ray.cloudpickle.dumps(error))
        return SimpleNamespace(
            trial_id="t0001", config={"trial": "t0001"}, pickled_error_file=str(file) if error else None
        )

    return of


def tune_trial(trial: str = "t0001") -> Any:
    """Tune's own object, as far as it is used."""
    config = {"trial": trial, "run": 1}
    return SimpleNamespace(trial_id=trial, config=config, temporary_state=SimpleNamespace(ray_actor=None))


def result(epoch: float, value: float = 0.9, status: str = "running") -> dict[str, Any]:
    return {"report": json.dumps({"epoch": epoch, "value": value, "status": status})}


def test_trials_are_handed_out_while_there_is_room(driver: Any, placement: Placement) -> None:
    asker = _Asker(phases_of(driver), Slots(Resources()), placement)
    first = asker.suggest("a")
    assert first["trial"] == "t0001"
    assert json.loads(json.dumps(first)) == first
    assert Assignment(**first["assignment"]) == ASSIGNMENT
    assert first["resources"] == {"cpu": 1, "gpu": 0, "avoid": []}
    assert asker.suggest("b")["trial"] == "t0002"
    assert asker.suggest("c") is None
    driver.running.clear()
    driver.asks = 0
    assert asker.suggest("d") == Searcher.FINISHED


def test_the_search_is_not_over_while_a_running_trial_may_promote_another(driver: Any, placement: Placement) -> None:
    asker = _Asker(phases_of(driver), Slots(Resources()), placement)
    asker.suggest("a")
    driver.asks = 0
    assert asker.suggest("b") is None
    driver.running.clear()
    assert asker.suggest("c") == Searcher.FINISHED


def test_a_phase_begins_when_nothing_of_the_one_before_runs(driver: Any, placement: Placement) -> None:
    following = FakeDriver(asks=1)
    asker = _Asker(phases_of(driver, following), Slots(Resources()), placement)
    driver.asks = 1
    asker.suggest("a")
    assert asker.suggest("b") is None
    assert not following.running
    driver.running.clear()
    assert asker.suggest("c")["trial"] in following.running
    following.running.clear()
    assert asker.suggest("d") == Searcher.FINISHED


def test_a_trial_that_goes_on_has_a_folder_of_its_own(driver: Any, placement: Placement) -> None:
    asker = _Asker(phases_of(driver), Slots(Resources()), placement)
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


def test_a_trial_that_fails_ends_once_it_failed_on_another_node(
    driver: Any, reporter: _Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = {"ended": json.dumps({"status": "failed", "error": "no disk", "traceback": "..."})}
    reporter.on_trial_complete(None, tune_trial(), ended)
    assert driver.told == [("put_back", "t0001", "failed on one node, is tried on another: no disk")]
    monkeypatch.setattr(tune_loop, "node_of", lambda _: "there")
    reporter.on_trial_complete(None, tune_trial(), ended)
    assert driver.told[1:] == [("end", "t0001", "failed", "no disk", "traceback")]


def test_a_trial_goes_on_after_a_death_of_its_own_until_there_are_too_many_in_a_row(
    driver: Any, reporter: _Reporter, dead: Callable[[Exception | None], Any]
) -> None:
    lost = ("end", "t0001", "lost", "the worker process died, 3 times in a row without an epoch in between")
    again = ("put_back", "t0001", "the worker process died")
    reporter.on_trial_error(None, dead(None))
    reporter.on_trial_error(None, dead(ActorDiedError()))
    reporter.on_trial_result(None, tune_trial(), result(1))
    for _ in range(3):
        reporter.on_trial_error(None, dead(ActorDiedError()))
    assert driver.told == [again, again, ("report", "t0001", 1), again, again, lost]


def test_a_node_that_is_gone_never_loses_a_trial(
    driver: Any, reporter: _Reporter, dead: Callable[[Exception | None], Any]
) -> None:
    for _ in range(20):
        reporter.on_trial_error(None, dead(NodeDiedError("the node died")))
    assert driver.told == [("put_back", "t0001", "its node died")] * 20


def test_a_trial_that_is_short_of_memory_goes_on_with_less(driver: Any, reporter: _Reporter) -> None:
    for less in ({"micro_batch": None}, {"micro_batch": 6, "trains_batch_norm": True}):
        short = {"short_of_memory": json.dumps(less)}
        assert reporter.on_trial_result(None, tune_trial(), short) == TrialScheduler.CONTINUE
    assert driver.told == [
        ("short_of_memory", "t0001", None, {}),
        ("short_of_memory", "t0001", 6, {"trains_batch_norm": True}),
    ]


def test_a_trial_that_was_short_of_memory_on_its_share_has_not_ended(driver: Any, reporter: _Reporter) -> None:
    reporter._slots.take(proposal("t0001"))
    reporter.on_trial_complete(None, tune_trial(), {"crowded_out": 24.0, "done": True})
    assert driver.told == [("put_back", "t0001", "out of memory on a share of a GPU")]


def failed(error: str) -> dict[str, Any]:
    return {"ended": json.dumps({"status": "failed", "error": error})}


def test_a_node_on_which_all_fails_is_avoided_and_its_trials_are_tried_again(
    driver: Any, reporter: _Reporter, placement: Placement, notes: list[str], dead: Callable[[Exception | None], Any]
) -> None:
    reporter.on_trial_complete(None, tune_trial("t0002"), failed("no disk"))
    reporter.on_trial_error(None, dead(ActorDiedError()))
    assert notes == []
    reporter.on_trial_complete(None, tune_trial("t0003"), failed("no disk"))
    told = "t0002: no disk; t0001: the worker process died; t0003: no disk"
    assert notes == [f"node 10.0.0.here is set aside: 3 failures in a row ({told})"]
    assert [told[:2] for told in driver.told] == [("put_back", trial) for trial in ("t0002", "t0001", "t0003")]
    asked = _Asker(phases_of(driver), Slots(Resources()), placement).suggest("a")
    assert asked is None  # one CPU is left, and t0001 runs
    driver.running.clear()
    asked = _Asker(phases_of(driver), Slots(Resources()), placement).suggest("a")
    assert asked["resources"]["avoid"] == ["here"]


def test_a_node_that_lacks_something_is_avoided_at_once(
    driver: Any, reporter: _Reporter, placement: Placement, notes: list[str]
) -> None:
    unfit = {"node": "here", "reason": "it has no data"}
    reporter.on_trial_complete(None, tune_trial(), {"unfit_node": json.dumps(unfit), "done": True})
    assert driver.told == [("put_back", "t0001", "its node is set aside: it has no data")]
    assert notes == ["node 10.0.0.here is set aside: it has no data"]
    assert list(placement.aside) == ["here"]


def test_a_trial_that_ends_well_speaks_for_its_node(reporter: _Reporter, notes: list[str]) -> None:
    for trial in ("t0002", "t0003"):
        reporter.on_trial_complete(None, tune_trial(trial), failed("no disk"))
    reporter.on_trial_complete(None, tune_trial(), result(1, status="complete"))
    reporter.on_trial_complete(None, tune_trial("t0004"), failed("no disk"))
    assert notes == []


def test_an_interruption_stops_all() -> None:
    interrupted = Interruption()
    stopper = _StopWhenInterrupted(interrupted)
    assert not stopper.stop_all()
    assert not stopper("t0001", {})
    interrupted.set()
    assert stopper.stop_all()


def test_trials_make_room_one_by_one_and_go_on_later(driver: Any, placement: Placement) -> None:
    slots, idle_workers_removed = Slots(Resources()), []
    slots.keep_to(lambda: 1)
    driver.running = {trial: SimpleNamespace(proposal=proposal(trial)) for trial in ("t0001", "t0002")}
    reporter = _Reporter(phases_of(driver), slots, placement, Interruption())
    assert reporter.on_trial_result(None, tune_trial("t0001"), result(1)) == TrialScheduler.STOP
    assert reporter.on_trial_result(None, tune_trial("t0002"), result(1)) == TrialScheduler.CONTINUE
    reporter.on_trial_complete(None, tune_trial("t0001"), result(1))
    assert driver.told[-1] == ("put_back", "t0001", tune_loop.MAKES_ROOM)
    assert not _Asker(phases_of(driver), slots, placement).suggest("c")

    controller = SimpleNamespace(_cleanup_cached_actors=lambda **given: idle_workers_removed.append(given))
    handed_out: list[Any] = [SimpleNamespace(status="PENDING")]
    wrapped = SimpleNamespace(_tune_controller=controller, get_trials=lambda: handed_out)
    assert reporter.choose_trial_to_run(wrapped) is handed_out[0]
    assert idle_workers_removed == [], "the trial that was handed out takes the worker"
    handed_out.clear()
    assert reporter.choose_trial_to_run(wrapped) is None
    assert idle_workers_removed == [{"force_all": True}]
    slots.keep_to(lambda: None)
    reporter.choose_trial_to_run(wrapped)
    assert len(idle_workers_removed) == 1
