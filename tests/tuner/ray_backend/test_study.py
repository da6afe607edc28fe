from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search_spaces.space import Space
from tuner.ray_backend.study import StudyMirror, mirror, rebuild_study

Event = dict[str, Any]


def space(lr_high: float = 1e-2) -> Space:
    axes = {
        "head.kind": {"choice": ["linear", "mlp"]},
        "head.width": {"int": [64, 512], "log": True, "when": {"head.kind": ["mlp"]}},
        "optimizer.lr": {"float": [1e-5, lr_high], "log": True},
    }
    fixed = {"epochs": 6, "backbone": "resnet18"}
    given = {"version": 1, "scheduler": "none", "fixed": fixed, "baseline": {}, "axes": axes}
    return Space.model_validate(given)


class Log:
    """Builds an event log."""

    def __init__(self, direction: str = "maximize", name: str = "flowers") -> None:
        self.events: list[Event] = []
        self.add("search_started", name=name, objective={"metric": "f1_macro", "direction": direction})

    def add(self, kind: str, **fields: Any) -> None:
        seq = len(self.events) + 1
        self.events.append({"v": 1, "seq": seq, "time": f"2026-01-02T03:04:{seq % 60:02}.000Z", "kind": kind} | fields)

    def start(self, number: int, params: dict[str, Any], baseline: bool = False) -> str:
        trial = f"t{number + 1:04}"
        config = {"backbone": "resnet18", "epochs": 6}
        self.add("trial_started", trial=trial, number=number, params=params, config=config, baseline=baseline)
        return trial

    def epochs(self, trial: str, values: list[float | None], first: int = 1) -> None:
        best: float | None = None
        for epoch, value in enumerate(values, start=first):
            best = value if best is None else max(best, value or best)
            self.add(
                "epoch", trial=trial, epoch=epoch, value=value, best_value=best, best_epoch=epoch, seconds=2.5 * epoch
            )

    def end(self, trial: str, status: str, error: str | None = None) -> None:
        self.add("trial_ended", trial=trial, status=status, error=error)

    def trial(self, number: int, values: list[float | None], status: str, error: str | None = None) -> None:
        trial = self.start(number, {"head.kind": "linear", "optimizer.lr": 1e-4 * (number + 1)})
        self.epochs(trial, values)
        self.end(trial, status, error)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


@pytest.fixture
def log() -> Log:
    """One trial of every end, and three in flight."""
    log = Log()
    baseline = log.start(0, {"optimizer.lr": 0.5, "head.kind": "linear"}, baseline=True)
    log.epochs(baseline, [0.3, 0.5, 0.4])
    log.end(baseline, "complete")
    log.trial(1, [0.2], "pruned")
    log.trial(2, [0.2, 0.6, 0.5], "early_stopped")
    log.trial(3, [0.4, None], "pruned", "the loss is not finite")
    log.trial(4, [], "failed", "out of memory")
    log.trial(5, [0.4], "lost")
    log.epochs(log.start(6, {"head.kind": "mlp", "head.width": 128, "optimizer.lr": 1e-3}), [0.1, 0.2])
    log.trial(7, [0.1], "paused")
    log.start(8, {"head.kind": "linear", "optimizer.lr": 1e-3})
    return log


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def trials(path: Path, name: str = "flowers") -> list[FrozenTrial]:
    return optuna.load_study(study_name=name, storage=url(path)).get_trials()


def facts(path: Path) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.state, t.values, t.params, t.distributions, t.intermediate_values, t.user_attrs)
        for t in trials(path)
    ]


def write_live(path: Path, events: list[Event], pieces: int = 1, today: Space | None = None) -> StudyMirror:
    """Mirror the events as a running search does, each piece written before the next one is put."""
    study = StudyMirror(path, today or space(), seconds_between_writes=0.005)
    study.start()
    size = -(-len(events) // pieces)
    for start in range(0, len(events), size):
        for event in events[start : start + size]:
            study.put(event)
        time.sleep(0.03)
    study.close()
    return study


def test_trials_have_their_states_values_and_curves(db: Path, log: Log) -> None:
    mirror(log.events, url(db), space())
    complete, failed, pruned, running = TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING
    assert [(trial.state, trial.value) for trial in trials(db)] == [
        (complete, 0.5),
        (pruned, 0.2),
        (complete, 0.6),
        (pruned, None),
        (failed, None),
        (failed, None),
        (running, None),
        (running, None),
        (running, None),
    ]
    assert trials(db)[2].intermediate_values == {1: 0.2, 2: 0.6, 3: 0.5}
    assert trials(db)[3].intermediate_values == {1: 0.4}
    assert trials(db)[6].params == {"head.kind": "mlp", "head.width": 128, "optimizer.lr": 1e-3}
    study = optuna.load_study(study_name="flowers", storage=url(db))
    assert (study.best_trial.number, study.metric_names) == (2, ["f1_macro"])


@pytest.mark.parametrize(("values", "error"), [([0.4, None], None), ([0.4, 0.5], "the loss is not finite")])
def test_a_trial_that_diverged_is_pruned_without_a_value(
    db: Path, values: list[float | None], error: str | None
) -> None:
    log = Log()
    log.trial(0, values, "pruned", error)
    mirror(log.events, url(db), space())
    assert (trials(db)[0].state, trials(db)[0].value) == (TrialState.PRUNED, None)


def test_trials_carry_what_the_dashboard_should_show(db: Path, log: Log) -> None:
    mirror(log.events, url(db), space())
    assert trials(db)[3].user_attrs == {
        "trial": "t0004",
        "status": "pruned",
        "baseline": False,
        "backbone": "resnet18",
        "epochs": 6,
        "epochs_run": 2,
        "best_epoch": 2,
        "halted_at_rung": None,
        "seconds": 5.0,
        "error": "the loss is not finite",
    }


def test_a_baseline_outside_the_axes_keeps_its_params_as_attributes(db: Path, log: Log) -> None:
    mirror(log.events, url(db), space())
    baseline = trials(db)[0]
    assert baseline.params == {"head.kind": "linear"}
    assert baseline.user_attrs["outside the axes: optimizer.lr"] == 0.5
    assert baseline.user_attrs["baseline"] is True


def test_times_are_those_of_the_log(db: Path, log: Log) -> None:
    log.add("test_scored", trial="t0001", test={"f1_macro": 0.5})  # long after its end
    mirror(log.events, url(db), space())
    took = [trial.duration for trial in trials(db)[:3]]
    assert [duration.total_seconds() for duration in took if duration] == [4, 2, 4]


@pytest.mark.parametrize("pieces", [1, 4, 100])
def test_written_live_or_rebuilt_the_study_is_the_same(tmp_path: Path, log: Log, pieces: int) -> None:
    live, rebuilt = tmp_path / "live.db", tmp_path / "rebuilt.db"
    write_live(live, log.events, pieces)
    rebuild_study(rebuilt, log.events, space())
    assert facts(live) == facts(rebuilt)
    rebuild_study(live, log.events, space())
    assert facts(live) == facts(rebuilt)


def test_mirroring_again_changes_nothing(db: Path, log: Log) -> None:
    mirror(log.events, url(db), space())
    before = facts(db), [trial._trial_id for trial in trials(db)], db.read_bytes()
    mirror(log.events, url(db), space())
    mirror(log.events + log.events, url(db), space())
    assert (facts(db), [trial._trial_id for trial in trials(db)], db.read_bytes()) == before


def test_a_resumed_search_goes_on_in_the_same_study(tmp_path: Path, log: Log) -> None:
    resumed, whole = tmp_path / "resumed.db", tmp_path / "whole.db"
    write_live(resumed, log.events[:-9], pieces=3)
    ids = [trial._trial_id for trial in trials(resumed)]
    log.epochs("t0007", [0.3, 0.4], first=3)
    log.end("t0007", "complete")
    write_live(resumed, log.events, pieces=1)
    mirror(log.events, url(whole), space())
    assert facts(resumed) == facts(whole)
    assert [trial._trial_id for trial in trials(resumed)][: len(ids)] == ids


def test_a_lost_trial_that_goes_on_is_running_again(tmp_path: Path, log: Log) -> None:
    live, rebuilt = tmp_path / "live.db", tmp_path / "rebuilt.db"
    study = StudyMirror(live, space(), seconds_between_writes=0.005)
    study.start()
    log.add("trial_resumed", trial="t0006")
    log.epochs("t0006", [0.7], first=1)
    for event in log.events:
        study.put(event)
        time.sleep(0.005)
    study.close()
    rebuild_study(rebuilt, log.events, space())
    assert facts(live) == facts(rebuilt)
    assert trials(live)[5].state is TrialState.RUNNING
    assert trials(live)[5].intermediate_values == {1: 0.7}
    assert trials(live)[5].user_attrs["error"] is None


def test_a_trial_that_went_back_to_a_checkpoint_loses_later_epochs(db: Path) -> None:
    log = Log()
    trial = log.start(0, {"head.kind": "linear", "optimizer.lr": 1e-3})
    log.epochs(trial, [0.1, 0.2, 0.9])
    write_live(db, log.events)
    log.epochs(trial, [0.3], first=2)
    write_live(db, log.events)
    assert trials(db)[0].intermediate_values == {1: 0.1, 2: 0.3}


def test_wider_axes_start_the_study_anew(db: Path, log: Log) -> None:
    write_live(db, log.events)
    write_live(db, log.events, today=space(lr_high=0.9))
    assert trials(db)[0].params == {"head.kind": "linear", "optimizer.lr": 0.5}
    assert len(trials(db)) == 9
    assert len(optuna.get_all_study_names(url(db))) == 1


def test_a_minimising_search_makes_a_minimising_study(db: Path) -> None:
    log = Log(direction="minimize", name="low")
    log.trial(0, [0.5], "complete")
    mirror(log.events, url(db), space())
    assert optuna.load_study(study_name="low", storage=url(db)).direction is optuna.study.StudyDirection.MINIMIZE


def test_a_folder_with_odd_characters_is_found(tmp_path: Path, log: Log) -> None:
    folder = tmp_path / "my {results} 100%"
    folder.mkdir()
    write_live(folder / "study.db", log.events)
    assert (folder / "study.db").stat().st_size > 0


@pytest.fixture
def locked(db: Path, log: Log) -> Iterator[sqlite3.Connection]:
    mirror(log.events[:1], url(db), space())
    connection = sqlite3.connect(db, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


def test_a_locked_database_does_not_hold_up_the_search(
    locked: sqlite3.Connection, db: Path, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    study = StudyMirror(db, space(), seconds_between_writes=0.005)
    study.start()
    began = time.monotonic()
    for event in log.events:
        study.put(event)
    study.close(timeout_seconds=0.1)
    assert time.monotonic() - began < 1
    assert "not all of the search was mirrored" in caplog.text
    locked.execute("ROLLBACK")
    study.close()
    assert len(trials(db)) == 9


def test_a_broken_database_is_given_up_in_two_lines(db: Path, log: Log, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    db.write_bytes(b"no database " * 100)
    study = StudyMirror(db, space(), seconds_between_writes=0.005)
    study.start()
    for event in log.events:
        study.put(event)
    deadline = time.monotonic() + 20
    while "given up" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    study.put(log.events[-1])
    study.close()
    lines = [record.getMessage() for record in caplog.records if "tuner" in record.name]
    assert len(lines) == 2
    assert "will be tried again" in lines[0]
    assert "given up" in lines[1]
    assert all("\n" not in line and "the search goes on" in line for line in lines)
    rebuild_study(db, log.events, space())
    assert len(trials(db)) == 9


def test_a_failed_write_is_made_up_for(db: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    original = optuna.storages.RDBStorage.set_trial_user_attr

    def flaky(*arguments: Any) -> None:
        if rng.random() < 0.3:
            raise optuna.exceptions.StorageInternalError("database is locked")
        original(*arguments)

    monkeypatch.setattr(optuna.storages.RDBStorage, "set_trial_user_attr", flaky)
    study = StudyMirror(db, space(), seconds_between_writes=0.005)
    study.start()
    for event in log.events:
        study.put(event)
        time.sleep(0.005)
    monkeypatch.undo()
    study.put(log.events[-1])
    study.close()
    rebuilt = db.with_name("rebuilt.db")
    rebuild_study(rebuilt, log.events, space())
    assert facts(db) == facts(rebuilt)


def test_a_mirror_that_never_started_closes(db: Path) -> None:
    StudyMirror(db, space()).close()
    assert not db.exists()


def test_a_paused_trial_is_running_until_the_search_is_over(db: Path, log: Log) -> None:
    mirror(log.events, url(db), space())
    assert trials(db)[7].state is TrialState.RUNNING
    log.add("search_ended", status="complete")
    mirror(log.events, url(db), space())
    assert (trials(db)[7].state, trials(db)[7].value) == (TrialState.PRUNED, 0.1)


def test_a_trial_that_goes_on_after_a_pause_has_one_row(db: Path, tmp_path: Path, log: Log) -> None:
    write_live(db, log.events)
    log.add("trial_resumed", trial="t0008", reason="promoted to rung 2", rung=2)
    log.epochs("t0008", [0.3], first=2)
    log.end("t0008", "complete")
    log.add("search_ended", status="complete")
    write_live(db, log.events, pieces=3)
    row = trials(db)[7]
    assert (row.state, row.value, row.intermediate_values) == (TrialState.COMPLETE, 0.3, {1: 0.1, 2: 0.3})
    assert len(trials(db)) == 9
    rebuild_study(tmp_path / "rebuilt.db", log.events, space())
    assert facts(db) == facts(tmp_path / "rebuilt.db")
