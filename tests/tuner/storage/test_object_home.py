from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress

import pytest
from faulty_store import FaultyFileSystem

from trainable.errors import UserError
from tuner.storage import lease, object_home
from tuner.storage.lease import LostLeaseError
from tuner.storage.object_home import ObjectHome
from tuner.storage.objects import StorageError, open_objects
from tuner.store import Store, list_searches

OnMachine = Callable[[str], None]


@pytest.fixture
def store(results: str) -> Store:
    return Store.create(results, "birds")


def there(store: Store) -> set[str]:
    return set(open_objects(str(store.place)).listed())


def test_the_working_folder_may_go_at_any_time(store: Store, results: str) -> None:
    with store.lock():
        first = store.append("search_started", name="birds")
        store.search_yaml.write_text("a: 1\n")
    shutil.rmtree(store.folder)
    again = Store.open("birds", results)
    assert list(again.events()) == [first]
    assert again.search_yaml.read_text() == "a: 1\n"
    assert Store.open(f"{results}/birds", "elsewhere").name == "birds"


@pytest.mark.usefixtures("store")
def test_names_are_taken_once_and_listed(results: str) -> None:
    with pytest.raises(UserError, match=f"search 'birds' exists in {results}: nothing is overwritten"):
        Store.create(results, "birds")
    Store.create(results, "ants")
    open_objects(results).put("notes/of mine.txt", b"")
    assert [found.name for found in list_searches(results)] == ["ants", "birds"]
    with pytest.raises(UserError, match=r"no search 'bird' in .*; did you mean 'birds'\?"):
        Store.open("bird", results)


def test_a_second_writer_is_refused_from_here_and_from_elsewhere(store: Store, on_machine: OnMachine) -> None:
    with store.lock():
        with pytest.raises(
            UserError, match=rf"'birds' is being run by process {os.getpid()} on .*: one writer at a time"
        ):
            Store(store.place).append("note", text="from here")
        on_machine("other")
        elsewhere = Store(store.place)
        assert elsewhere.held()
        with pytest.raises(UserError, match=rf"run by process {os.getpid()} on .* \(heard of \d s ago; a lock lapses"):
            elsewhere.append("note", text="from elsewhere")
        assert elsewhere.record().status == "running"
    assert not elsewhere.held()
    elsewhere.append("note", text="now")
    assert [event["text"] for event in store.events()] == ["now"]


def test_who_lost_the_lock_writes_nothing_more(
    store: Store, on_machine: OnMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.0)  # so that each event asks whether the lock is still had

    def run() -> None:
        with store.lock():
            store.append("note", text="mine")
            open_objects(str(store.place)).put("lock/00000002.json", b'{"process": 7, "host": "box"}')
            store.search_yaml.write_text("too late")
            with suppress(LostLeaseError):
                store.append("note", text="too late")

    with pytest.raises(LostLeaseError, match="process 7 on box has taken over this search"):
        run()
    assert "search.yaml" not in there(store)
    on_machine("other")
    assert [event["text"] for event in Store(store.place).events()] == ["mine"]


def test_files_written_and_dropped_are_so_at_home(store: Store, results: str, on_machine: OnMachine) -> None:
    with store.lock():
        for name in ("01-t0001.yaml", "02-t0002.yaml"):
            store.top.mkdir(exist_ok=True)
            (store.top / name).write_text(name)
        (store.folder / "ray").mkdir()
        (store.folder / "ray" / "junk").touch()
        store.study_db.touch()
    assert {"top/01-t0001.yaml", "top/02-t0002.yaml", "study.db"} <= there(store)
    assert "ray/junk" not in there(store)
    with store.lock():
        (store.top / "02-t0002.yaml").unlink()
    assert "top/02-t0002.yaml" not in there(store)
    on_machine("other")
    assert [path.name for path in Store.open("birds", results).top.iterdir()] == ["01-t0001.yaml"]


def test_a_trials_files_follow_it_from_node_to_node(store: Store, on_machine: OnMachine) -> None:
    def node(name: str) -> ObjectHome:
        on_machine(name)
        return ObjectHome(str(store.place), of_workers=True)

    a, b = node("a"), node("b")
    for home, epoch in ((a, "1"), (b, "2"), (a, "3")):
        last = home.folder / "checkpoints" / "t0001" / "last.pt"
        home.pull(last.parent)
        assert epoch == "1" or last.read_text() == str(int(epoch) - 1)
        last.parent.mkdir(parents=True, exist_ok=True)
        last.write_text(epoch)
        home.push(last.parent)
    store.drop_checkpoint(store.last_checkpoint("t0001"))
    assert store.trials_with_checkpoints() == []
    b.pull(b.folder / "checkpoints" / "t0001")
    assert not (b.folder / "checkpoints" / "t0001" / "last.pt").exists()


def test_a_node_is_freed_of_what_is_at_home_only(store: Store) -> None:
    home = ObjectHome(str(store.place), of_workers=True)
    folder = home.folder / "checkpoints" / "t0001"
    folder.mkdir(parents=True)
    for name in ("best.pt", "last.pt", "last.partial"):
        (folder / name).write_text(name)
    home.push(folder / "best.pt")
    home.let_go(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["last.partial", "last.pt"]
    home.push(folder)
    assert {name for name in there(store) if name.startswith("checkpoints/")} == {
        "checkpoints/t0001/best.pt",
        "checkpoints/t0001/last.pt",
    }


def test_what_could_not_be_brought_home_is_not_lost_to_what_is_older(store: Store) -> None:
    home = ObjectHome(str(store.place), of_workers=True)
    last = home.folder / "checkpoints" / "t0001" / "last.pt"
    home.pull(last.parent)
    last.parent.mkdir(parents=True)
    last.write_text("1")
    home.push(last)
    last.write_text("2, of which its node could not tell")
    home.pull(last.parent)
    assert last.read_text().startswith("2")


def test_another_search_of_the_same_name_gets_nothing_of_the_first(store: Store, results: str) -> None:
    home = ObjectHome(str(store.place), of_workers=True)
    stale = home.folder / "checkpoints" / "t0001" / "last.pt"
    home.pull(stale)
    stale.parent.mkdir(parents=True)
    stale.write_text("of the first")
    with store.lock():
        store.append("note", text="of the first")
    objects = open_objects(str(store.place))
    objects.remove(objects.listed())
    again = Store.create(results, "birds")
    assert list(again.events()) == []
    ObjectHome(str(store.place), of_workers=True).pull(stale)
    assert not stale.exists()


def test_notes_come_from_anywhere_while_it_runs(store: Store, on_machine: OnMachine) -> None:
    with store.lock():
        on_machine("laptop")
        laptop = Store(store.place)
        laptop.note("one", "t0001")
        on_machine("desk")
        Store(store.place).note("two")
        assert [event["text"] for event in store.notes()] == ["one", "two"]


def test_a_store_that_overwrites_is_no_home(faulty: FaultyFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = faulty.pipe_file
    monkeypatch.setattr(faulty, "pipe_file", lambda path, value, **_: plain(path, value))
    with pytest.raises(StorageError, match="writes over what it is asked to create only if it is absent"):
        Store.create(f"faulty://{uuid.uuid4().hex}/results", "birds")


def test_no_thread_outlives_the_lock(store: Store) -> None:
    before = set(threading.enumerate())
    with store.lock():
        assert {thread.name for thread in set(threading.enumerate()) - before} >= {"lease", "mirror"}
    assert not {thread.name for thread in threading.enumerate()} & {"lease", "mirror"}


def test_files_that_are_not_brought_home_are_noted_once(
    faulty: FaultyFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_home, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("tuner.storage.mirror.REST_SECONDS", 0.001)
    store = Store.create(f"faulty://{uuid.uuid4().hex}/results", "birds")
    with store.lock():
        faulty.fault = lambda operation, _: OSError("slow down") if operation == "put_file" else None
        store.search_yaml.write_text("a: 1\n")
        mirror = store.home._mirror  # type: ignore[attr-defined]
        assert mirror.troubled.wait(10)
        for _ in range(3):
            store.append("epoch", "t0001", epoch=1)
        faulty.fault = lambda *_: None
    notes = [event["text"] for event in store.events() if event["kind"] == "note"]
    assert len(notes) == 1
    assert "(slow down)" in notes[0]
    assert "search.yaml" in there(store)


def test_who_may_only_read_can_look(faulty: FaultyFileSystem, on_machine: OnMachine) -> None:
    results = f"faulty://{uuid.uuid4().hex}/results"
    store = Store.create(results, "birds")
    store.append("search_started", name="birds")
    faulty.fault = lambda operation, _: PermissionError("Forbidden") if operation == "pipe_file" else None
    on_machine("reader")
    assert [found.record().status for found in list_searches(results)] == ["stopped"]
    with pytest.raises(UserError, match=r"access is denied \(Forbidden\)"):
        store.append("note", text="x")
