"""A whole search whose results are objects: it comes to what the same one in a folder comes to, whatever is lost."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest
from faulty_store import FaultyFileSystem, no_fault
from small_leftovers import GridOfFour, told
from small_searches import RunTuner

from tuner.records import SearchRecord
from tuner.result import load
from tuner.run import resume_search, run_search
from tuner.storage import lease, object_home
from tuner.storage.object_home import local_folder
from tuner.storage.objects import open_objects
from tuner.storage.segments import LogEndedError
from tuner.store import Event, Store

pytestmark = [pytest.mark.usefixtures("_without_ray"), pytest.mark.real]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> GridOfFour:
    return GridOfFour(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def in_a_folder(whole: Store) -> SearchRecord:
    """What the search comes to in a folder."""
    return whole.record()


class KilledError(BaseException):
    """The driver's process ends here, as by kill -9."""


def kill_at(kind: str, trial: str | None = None, number: int = 1) -> Callable[[Event], None]:
    """A listener that ends the process at an event."""
    left = [number]

    def hear(event: Event) -> None:
        if event["kind"] == kind and trial in (None, event.get("trial")):
            left[0] -= 1
            if not left[0]:
                raise KilledError

    return hear


def test_a_search_that_lost_its_machine_comes_to_the_same(
    inputs: GridOfFour, in_a_folder: SearchRecord, results: str, on_machine: Callable[[str], None]
) -> None:
    on_machine("first")
    with pytest.raises(KilledError):
        run_search(inputs.config(results), kill_at("epoch", "t0002"))
    on_machine("second")
    left = Store.open("new", results)
    assert next(trial.status for trial in left.record().trials) == "complete"
    done = resume_search(left)
    assert told(done.record()) == told(in_a_folder)
    ended = [event["trial"] for event in done.events() if event["kind"] == "trial_ended"]
    assert ended.count("t0001") == 1

    on_machine("reader")
    found = load("new", results)
    assert told(found.record) == told(in_a_folder)
    assert found.record.best is not None
    assert found.model().labels == found.record.labels
    assert found.store.leaderboard_md.read_text() == done.leaderboard_md.read_text()
    assert len(found.frame()) == len(in_a_folder.trials) + len(in_a_folder.references)
    assert found.store.predictions("t0001").exists()
    names = set(found.store.home.paths(found.store.folder))
    kept = {path.relative_to(found.store.folder).as_posix() for path in names}
    assert {"search.yaml", "splits.csv", "best.yaml", "study.db", "conclusions.md", "predictions/t0001.npz"} <= kept
    assert not any(name.startswith(("ray/", "control/")) or name.endswith((".partial", ".tmp")) for name in kept)
    assert not list((local_folder(results) / ".new.workers").glob("checkpoints/*/*.pt"))


def test_a_store_that_goes_away_pauses_the_search(
    inputs: GridOfFour, in_a_folder: SearchRecord, faulty: FaultyFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_home, "PATIENCE_SECONDS", 0.01)
    results = f"faulty://{uuid.uuid4().hex}/results"

    def cut(event: Event) -> None:
        if event["kind"] == "trial_ended" and event["trial"] == "t0002":
            faulty.fault = lambda *_: OSError("no route to host")

    with pytest.raises(LogEndedError, match=r"cannot be reached \(no route to host\).*so the search has paused"):
        run_search(inputs.config(results), cut)
    faulty.fault = no_fault
    monkeypatch.setattr(lease, "_is_dead_here", lambda _: True)  # as it would be, had its process ended
    assert told(resume_search(Store.open("new", results)).record()) == told(in_a_folder)


def test_files_that_cannot_be_brought_home_are_told_of_and_hold_nothing_up(
    inputs: GridOfFour, in_a_folder: SearchRecord, faulty: FaultyFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_home, "PATIENCE_SECONDS", 0.01)
    results = f"faulty://{uuid.uuid4().hex}/results"

    def hear(event: Event) -> None:
        if event["kind"] == "trial_started" and event["trial"] == "t0002":
            faulty.fault = lambda operation, _: OSError("slow down") if operation == "put_file" else None
        if event["kind"] == "test_scored":
            faulty.fault = no_fault

    store = run_search(inputs.config(results), hear)
    assert told(store.record()) == told(in_a_folder)
    notes = [event["text"] for event in store.events() if event["kind"] == "note" and "home for now" in event["text"]]
    assert 1 <= len(notes) <= 4  # of workers in each phase, and of the driver
    assert all("(slow down)" in text for text in notes)
    assert store.home.paths(store.checkpoints("t0001"))


def test_a_search_is_stopped_from_another_machine(
    inputs: GridOfFour, results: str, on_machine: Callable[[str], None], run_tuner: RunTuner
) -> None:
    on_machine("driver")
    ran = []

    def hear(event: Event) -> None:
        if event["kind"] == "trial_started" and not ran:
            on_machine("laptop")
            ran.append(run_tuner("stop", "new", "--results", results, "--wait", 0))
            on_machine("driver")
            assert Store(f"{results}/new").home.requests() == {"stop"}
            time.sleep(object_home.ObjectHome.look_seconds)

    with pytest.raises(KeyboardInterrupt):
        run_search(inputs.config(results), hear)
    assert ran[0].code == 2
    assert "has not stopped in 0 s" in ran[0].err
    assert Store.open("new", results).record().reason == "stopped by `tuner stop`"


def test_a_search_is_extended_from_another_machine(
    inputs: GridOfFour, results: str, on_machine: Callable[[str], None], run_tuner: RunTuner
) -> None:
    on_machine("driver")
    before = run_search(inputs.config(results)).record()
    (best, *_) = before.ranked()
    for machine, epochs in (("laptop", 1), ("other laptop", 2)):  # the second goes on from what the first has left
        on_machine(machine)
        ran = run_tuner("extend", f"{results}/new", "--epochs", f"+{epochs}", "--top", 1)
        assert ran.code == 0, ran.err
    on_machine("third laptop")
    after = Store.open("new", results).record()
    assert list(after.trials[: len(before.trials)]) == list(before.trials)
    children = [trial for trial in after.trials if trial.parent]
    assert [(child.status, child.epochs_run) for child in children] == [("complete", 1), ("complete", 2)]
    assert children[0].parent == best.id
    assert not [note.text for note in after.notes if "is gone" in note.text]


def test_every_verb_takes_a_url(
    inputs: GridOfFour,
    results: str,
    on_machine: Callable[[str], None],
    run_tuner: RunTuner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_machine("driver")
    run_search(inputs.config(results))
    on_machine("laptop")
    monkeypatch.setenv("THAW_RESULTS", results)
    listed = run_tuner("ls")
    assert [line.split()[:2] for line in listed.out.splitlines()[2:]] == [["new", "complete"]]
    for verb in (["leaderboard", "new"], ["show", "new"], ["show", f"{results}/new", "t0001"], ["conclude", "new"]):
        ran = run_tuner(*verb)
        assert (ran.code, ran.err) == (0, ""), verb
    assert run_tuner("compare", "new", f"{results}/new").out.startswith("# new (1) and new (2)\n")
    image = inputs.data.parent / "images" / "000.png"
    predicted = run_tuner("predict", "new", image)
    assert (predicted.code, len(predicted.out.splitlines())) == (0, 2)
    assert run_tuner("retrain", "new").code == 0
    on_machine("third laptop")
    assert run_tuner("predict", "new", image, "--retrained").code == 0
    again = run_tuner("retrain", "new")
    assert (again.code, "exists, and nothing is overwritten" in again.err) == (2, True)
    noted = run_tuner("note", "new", "worked: all of it")
    assert noted.out == f"noted in {results}/new/notes.jsonl\n"
    on_machine("other laptop")
    assert [event["text"] for event in Store.open("new", results).notes()] == ["worked: all of it"]
    journal = open_objects(results).get("JOURNAL.md").decode()
    assert "worked: all of it" in journal or "all of it" in journal
    refused = run_tuner("resume", "new")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is complete: there is nothing to resume" in refused.err
    taken = run_tuner("resume", "nwe")
    assert "did you mean 'new'?" in taken.err
