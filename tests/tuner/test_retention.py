"""Which checkpoints a search keeps: of its best, of what may go on, and of no other trial."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.evidence.halted import audited_trials
from tuner.records import EpochRecord, Rerun, SearchRecord, TrialRecord
from tuner.replay import replay
from tuner.retention import Retention, checkpoints_to_keep
from tuner.store import Event, Store

ENDS = ("complete", "early_stopped", "failed", "pruned", "paused", "lost")
TOP_K, AUDIT = 2, 1


def trial(number: int, value: float | None, status: str = "complete", **facts: Any) -> TrialRecord:
    epochs = () if value is None else (EpochRecord(1, best_value=value, best_epoch=1),)
    return TrialRecord(f"t{number:04}", number, baseline=number == 1, status=status, epochs=epochs, facts=facts)


def test_the_best_and_the_baseline() -> None:
    trials = [trial(1, 0.1), trial(2, 0.5), trial(3, 0.7), trial(4, 0.6), trial(5, None, "failed")]
    kept = checkpoints_to_keep(trials, "maximize", 2, to_audit=0)
    assert (kept.best, kept.last) == ({"t0001", "t0003", "t0004"}, {"t0003", "t0004"})
    assert checkpoints_to_keep(trials, "minimize", 1, to_audit=0).last == {"t0001"}


def test_of_equal_trials_at_the_edge_the_earlier_one() -> None:
    trials = [trial(1, 0.1), trial(2, 0.5), trial(3, 0.5), trial(4, 0.5)]
    assert checkpoints_to_keep(trials, "maximize", 2, to_audit=0).last == {"t0002", "t0003"}


@pytest.mark.parametrize("status", ["running", "paused", "lost"])
def test_what_may_go_on(status: str) -> None:
    going_on, again = trial(2, 0.1, status), replace(trial(3, 0.9, status), rerun=Rerun("t0001", "repeat", 1, 0))
    kept = checkpoints_to_keep([trial(1, 0.5), going_on, again], "maximize", 1, to_audit=0)
    assert kept.last == {"t0001", "t0002", "t0003"}


def test_a_rerun_is_none_of_the_best() -> None:
    again = replace(trial(3, 0.9), rerun=Rerun("t0001", "repeat", 1, 0))
    assert checkpoints_to_keep([trial(1, 0.5), trial(2, 0.6), again], "maximize", 1, to_audit=0).last == {"t0002"}


def test_halted_ones_while_an_audit_may_draw_them() -> None:
    trials = [trial(1, 0.5), trial(2, 0.9, "pruned", rung=1), trial(3, 0.8, "pruned")]
    assert checkpoints_to_keep(trials, "maximize", 1, to_audit=1).last == {"t0001", "t0002"}
    assert checkpoints_to_keep(trials, "maximize", 1, to_audit=0).last == {"t0001"}


def test_the_parents_of_those_that_are_to_go_on_from_them() -> None:
    trials = [trial(1, 0.5), trial(2, 0.6), trial(3, 0.9), trial(4, 0.2)]
    kept = checkpoints_to_keep(trials, "maximize", 1, to_audit=0, awaited={"t0002", "t0009"})
    assert kept.last == {"t0002", "t0003"}


class Searched:
    """A search of which only the log and the checkpoints are real."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.log: list[Event] = []
        self.saved: set[str] = set()
        """trials that have been saved once"""
        self.begin()

    def begin(self) -> None:
        """As after a kill of all that ran before."""
        self.retention = Retention(self.store, self.log, TOP_K, AUDIT)
        if not self.log:
            self.tell("search_started", objective={"direction": "minimize"})

    @property
    def record(self) -> SearchRecord:
        return replay(self.log)

    def tell(self, kind: str, *, heard: bool = True, **fields: Any) -> None:
        event = {"kind": kind, **fields}
        self.log.append(event)
        if heard:
            self.retention.put(event)

    def save(self, id: str) -> None:
        self.saved.add(id)
        for file in (self.store.best_checkpoint(id), self.store.last_checkpoint(id)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    def go_on(self, found: TrialRecord) -> None:
        """A trial's worker finds what it saved."""
        if found.id in self.saved:
            assert self.store.best_checkpoint(found.id).exists()
            assert self.store.last_checkpoint(found.id).exists()
        audit = {} if found.halted_at is None else {"audit": found.halted_at}
        self.tell("trial_resumed", trial=found.id, **(audit if found.status == "pruned" else {}))

    @property
    def files(self) -> set[str]:
        return {f"{file.parent.name}/{file.name}" for file in self.store.folder.glob("checkpoints/*/*")}

    @property
    def wanted(self) -> set[str]:
        search = self.record
        kept = checkpoints_to_keep(search.trials, search.direction, TOP_K, AUDIT - len(audited_trials(search)))
        of_kind = {"best.pt": kept.best, "last.pt": kept.last}
        return {f"{id}/{name}" for name, ids in of_kind.items() for id in ids & self.saved}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_whatever_comes_the_files_are_those_of_the_log(data: st.DataObject) -> None:
    """Also where all processes are killed, between an event and what follows from it too."""
    with tempfile.TemporaryDirectory() as folder:
        searched = Searched(Path(folder))
        for _ in range(data.draw(st.integers(1, 25))):
            search = searched.record
            running = [found for found in search.trials if found.status == "running"]
            to_audit = AUDIT - len(audited_trials(search))
            left = [found for found in search.trials if found.status in ("paused", "lost")]
            left += [found for found in search.trials if found.status == "pruned" and found.halted_at and to_audit > 0]
            doing = data.draw(st.sampled_from(["start", *["report", "end"] * bool(running), *["go on"] * bool(left)]))
            if doing == "start":
                number = len(search.trials) + 1
                searched.tell("trial_started", trial=f"t{number:04}", number=number, baseline=number == 1)
            elif doing == "go on":
                searched.go_on(data.draw(st.sampled_from(left)))
            else:
                found = data.draw(st.sampled_from(running))
                if doing == "report":
                    value = data.draw(st.sampled_from([0.1, 0.2, 0.3, 0.4]))
                    best = min(value, found.best_value or 1)
                    searched.save(found.id)
                    epoch = found.epochs_run + 1
                    searched.tell("epoch", trial=found.id, epoch=epoch, best_value=best, best_epoch=epoch)
                else:
                    status, killed = data.draw(st.sampled_from(ENDS)), data.draw(st.booleans())
                    rung = {"rung": 1} if status in ("pruned", "paused") and data.draw(st.booleans()) else {}
                    searched.tell("trial_ended", heard=not killed, trial=found.id, status=status, **rung)
                    if killed:
                        searched.begin()
            assert searched.files == searched.wanted
        for left_over in ("t0001/last.partial", "t0099/best.pt", "t0099/last.pt"):  # of a trial that the log has lost
            file = searched.store.checkpoints("") / left_over
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        searched.begin()
        assert searched.files == searched.wanted
