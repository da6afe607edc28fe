from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.replay import replay
from tuner.store import Store, list_searches, write_atomically


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path, "flowers")


def lines(store: Store) -> list[str]:
    return store.events_jsonl.read_text().splitlines()


def test_an_event_reads_back_as_append_returned_it(store: Store) -> None:
    first = store.append("search_started", name="flowers", labels=("a", "ü"))
    second = store.append("epoch", trial="t0001", epoch=1, value=1 / 3)
    assert list(store.events()) == [first, second]
    assert (first["v"], first["seq"], first["kind"], first["labels"]) == (1, 1, "search_started", ["a", "ü"])
    assert (second["seq"], second["trial"], second["value"]) == (2, "t0001", 1 / 3)
    assert "trial" not in first
    assert first["time"].endswith("Z")


def test_an_event_is_on_disk_before_anyone_hears_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    heard: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    store.listeners.append(lambda _: heard.append(len(synced)))
    with store.lock():
        for kind in ("trial_started", "epoch", "trial_ended"):
            store.append(kind)
    assert heard == [1, 2, 3]


def test_killed_at_any_byte_the_log_loses_at_most_its_last_line(store: Store) -> None:
    with store.lock():
        store.append("search_started", name="flowers", trials=2)
        store.append("trial_started", trial="t0001", config={"backbone": "lite0"})
        store.append("epoch", trial="t0001", epoch=1, value=0.5, best_value=0.5, best_epoch=1)
        store.append("trial_ended", trial="t0001", status="complete")
    whole, written = list(store.events()), store.events_jsonl.read_bytes()
    for cut in range(len(written) + 1):
        store.events_jsonl.write_bytes(written[:cut])
        kept = written[:cut].count(b"\n")
        assert list(store.events()) == whole[:kept]
        assert store.warnings == []
        replay(store.events())
        added = store.append("note", text="after the crash")
        assert added["seq"] == kept + 1
        assert list(store.events()) == [*whole[:kept], added]


def test_a_second_writer_is_refused_and_told_who_has_it(store: Store) -> None:
    other = Store(store.folder)
    with store.lock():
        with pytest.raises(UserError, match=rf"'flowers' is being run by process {os.getpid()} on "):
            other.append("note", text="me too")
        with store.lock():
            store.append("note", text="mine")
        store.append("note", text="still mine")
    other.append("note", text="now me")
    assert [event["text"] for event in store.events()] == ["mine", "still mine", "now me"]


def test_a_killed_writers_lock_goes_with_it(store: Store) -> None:
    program = """
        import sys, time
        from tuner.store import Store
        with Store(sys.argv[1]).lock():
            print("locked", flush=True)
            time.sleep(60)
    """
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(program), str(store.folder)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "locked\n"
            with pytest.raises(UserError, match=f"process {process.pid} on"):
                store.append("note", text="too early")
        finally:
            process.kill()
        process.wait()
        store.append("note", text="free again")


def test_a_note_is_taken_while_another_process_has_the_lock(store: Store) -> None:
    with store.lock():
        first = Store(store.folder).note("looks good")
        Store(store.folder).note("next: more epochs", trial="t0002")
        store.append("note", text="the driver's own")
    assert next(store.notes()) == first
    assert {(note.text, note.trial) for note in store.record().notes} == {
        ("looks good", None),
        ("next: more epochs", "t0002"),
        ("the driver's own", None),
    }
    assert len(list(store.events())) == 1


def test_a_half_written_note_is_cut_off_by_the_next(store: Store) -> None:
    store.note("first")
    with store.notes_jsonl.open("ab") as file:
        file.write(b'{"kind":"note","text":"lo')
    store.note("second")
    assert [(event["seq"], event["text"]) for event in store.notes()] == [(1, "first"), (2, "second")]


def test_notes_of_many_writers_all_stay(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Store(store.folder).note, map(str, range(40))))
    found = list(store.notes())
    assert sorted(int(event["text"]) for event in found) == list(range(40))
    assert [event["seq"] for event in found] == list(range(1, 41))


def test_an_existing_search_is_not_overwritten(tmp_path: Path, store: Store) -> None:
    store.append("note", text="precious")
    with pytest.raises(UserError, match="nothing is overwritten"):
        Store.create(tmp_path, "flowers")
    assert len(list(store.events())) == 1


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-rf", "a/b", "a b", "ä", "x\n", "x" * 101])
def test_a_name_must_be_a_plain_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="letters, digits"):
        Store.create(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_results_folder_that_is_a_file_is_a_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--results"):
        Store.create(tmp_path / "file", "flowers")


def test_a_search_is_found_by_name_and_by_path(tmp_path: Path, store: Store) -> None:
    assert Store.open("flowers", tmp_path).folder == store.folder
    assert Store.open(store.folder, tmp_path / "elsewhere").name == "flowers"
    assert Store.open(str(store.folder), tmp_path).name == "flowers"


def test_an_unknown_search_is_refused_with_the_nearest_name(tmp_path: Path, store: Store) -> None:
    with pytest.raises(UserError, match=f"no search 'flower' .*did you mean '{store.name}'"):
        Store.open("flower", tmp_path)
    with pytest.raises(UserError, match="see `tuner ls`"):
        Store.open("something else", tmp_path)
    with pytest.raises(UserError, match="none has been run there yet"):
        Store.open("flowers", tmp_path / "absent")


def test_searches_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        Store.create(tmp_path, name)
    (tmp_path / "no-search").mkdir()
    (tmp_path / "README.md").write_text("")
    assert [store.name for store in list_searches(tmp_path)] == ["a", "b"]
    assert list_searches(tmp_path / "absent") == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "table.md"
    write_atomically(path, "old\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(OSError, match="no space"):
            write_atomically(path, "new\n")
    assert path.read_text() == "old\n"
    write_atomically(path, "é\r\n\udc80")
    assert path.read_bytes() == "é\r\n\\udc80".encode()
    assert [file.name for file in path.parent.iterdir()] == ["table.md"]


def test_what_was_left_half_written_is_dropped_by_who_comes_next(store: Store) -> None:
    for name in (".report.html.12345.tmp", "top/.1_t0001.yaml.7.tmp", "predictions/t0001.npz.partial"):
        (store.folder / name).parent.mkdir(exist_ok=True)
        (store.folder / name).touch()
    store.report_html.touch()
    store.drop_unfinished()
    assert [path.name for path in store.folder.rglob("*") if path.suffix in (".tmp", ".partial", ".html")] == [
        "report.html"
    ]


def test_every_path_lies_in_the_searchs_folder(store: Store) -> None:
    paths = [store.splits, store.search_yaml, store.best_yaml, store.top, store.leaderboard_md, store.leaderboard_csv]
    paths += [store.study_db, store.ray, store.control, store.events_jsonl, store.notes_jsonl, store.journal_md]
    paths += [store.checkpoints("t0001"), store.predictions("t0001")]
    assert {path.relative_to(store.folder).as_posix() for path in paths} == {
        *("splits.csv", "search.yaml", "best.yaml", "top", "leaderboard.md", "leaderboard.csv", "study.db", "ray"),
        *("control", "events.jsonl", "notes.jsonl", "journal.md", "checkpoints/t0001", "predictions/t0001.npz"),
    }


def test_a_log_of_a_newer_version_is_read_but_not_written(store: Store) -> None:
    store.append("search_started", name="flowers")
    with store.events_jsonl.open("a") as log:
        log.write('{"v": 2, "seq": 2, "kind": "of tomorrow"}\n')
    assert store.record().name == "flowers"
    with pytest.raises(UserError, match=r"events.jsonl: a newer version of Thaw wrote it \(log format 2, this one"):
        store.append("note", text="of today")
