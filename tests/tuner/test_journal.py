from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from small_searches import RunTuner

from trainable.errors import UserError
from tuner.journal import add_note, write_journal
from tuner.report.best import write_outputs
from tuner.store import Store


def finished(results: Path, name: str, *, value: float = 0.5, **started: Any) -> Store:
    """A search of its baseline alone."""
    store = Store.create(results, name)
    with store.lock():
        objective = {"metric": "accuracy", "direction": "maximize"}
        store.append("search_started", name=name, task="multiclass", objective=objective, **started)
        store.append("trial_started", "t0001", number=0, baseline=True, config={"backbone": "lite0"})
        scores = {"value": value, "best_value": value, "best_epoch": 1, "val": {"accuracy": value}}
        store.append("epoch", "t0001", epoch=1, **scores)
        store.append("trial_ended", "t0001", status="complete")
        store.append("search_ended", status="complete")
    return store


def headings(journal: Path) -> list[str]:
    return [line.split()[-1] for line in journal.read_text().splitlines() if line.startswith("## ")]


def test_the_newest_search_comes_first(tmp_path: Path) -> None:
    for name, minute in (("b", 1), ("c", 3), ("a", 2)):
        store = finished(tmp_path, name)
        log = store.events_jsonl.read_text()
        store.events_jsonl.write_text(log.replace(store.record().started, f"2026-01-01T00:0{minute}:00Z"))
    assert headings(write_journal(tmp_path)) == ["c", "a", "b"]


def test_the_first_line_says_where_notes_belong(tmp_path: Path) -> None:
    finished(tmp_path, "a")
    assert "`tuner note NAME TEXT`" in write_journal(tmp_path).read_text().splitlines()[0]


def test_a_note_is_in_the_journal_while_the_search_runs(tmp_path: Path) -> None:
    store = finished(tmp_path, "a")
    write_journal(tmp_path)
    with store.lock():
        add_note(Store(store.folder), "  the curve is odd ", "t0001")
        assert "t0001: the curve is odd\n" in write_journal(tmp_path).read_text()


def test_an_entry_follows_its_log_its_tables_and_its_conclusions(tmp_path: Path) -> None:
    store = finished(tmp_path, "a")
    write_journal(tmp_path)
    store.append("epoch", "t0001", epoch=2, value=0.75, best_value=0.75, best_epoch=2)
    assert "accuracy 0.750" in write_journal(tmp_path).read_text()
    write_outputs(store, store.record(), 1)
    assert "[Leaderboard](a/leaderboard.md)" in write_journal(tmp_path).read_text()
    store.conclusions_md.write_text("# Conclusions\n\n- cosine: shown, better\n")
    assert "- cosine: shown, better\n" in write_journal(tmp_path).read_text()


def test_nothing_worked_that_is_not_shown(tmp_path: Path) -> None:
    store = finished(tmp_path, "a")
    store.conclusions_md.write_text("- head: +0.1: not shown\n- Importance of the axes: none computed\n")
    assert "What worked" not in write_journal(tmp_path).read_text()


def test_what_the_leaderboard_ties_is_tied_here(tmp_path: Path) -> None:
    store = finished(tmp_path, "a")
    store.append("test_scored", "t0001", test={"accuracy": 0.25})
    header, best, other = "trial,tied,ci_low,ci_high", "t0001,true,0.3,0.6", "t0002,true,0.2,0.5"
    store.leaderboard_csv.write_text("\n".join([header, best, other, "t0003,,,"]) + "\n")
    text = write_journal(tmp_path).read_text()
    assert "Not told apart from it: t0002." in text
    assert "0.250 on test is outside val's 95 % interval, 0.300 to 0.600." in text


def test_logs_that_have_not_changed_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        finished(tmp_path, name)
    before = write_journal(tmp_path).read_text()
    monkeypatch.setattr(Store, "record", lambda _: pytest.fail("the log was read"))
    assert write_journal(tmp_path).read_text() == before


def test_a_search_that_was_renamed_has_its_new_name(tmp_path: Path) -> None:
    store = finished(tmp_path, "a")
    write_journal(tmp_path)
    store.folder.rename(tmp_path / "b")
    assert headings(write_journal(tmp_path)) == ["b"]


def test_a_search_that_was_killed_does_not_stay_running(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "a")
    with store.lock():
        store.append("search_started", name="a")
        assert "running" in write_journal(tmp_path).read_text()
    assert "stopped: its process is gone" in write_journal(tmp_path).read_text()


def test_foreign_and_unreadable_folders_do_not_matter(tmp_path: Path) -> None:
    finished(tmp_path, "a")
    for name, text in (("empty", ""), ("foreign", '{"hello": 1}\n[]\nnonsense\n')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.jsonl").write_text(text)
    (tmp_path / "odd" / "events.jsonl").mkdir(parents=True)
    journal = write_journal(tmp_path)
    assert headings(journal) == ["a"]
    assert journal.read_text().endswith("\nCould not be read: odd (Is a directory).\n")


def test_a_journal_of_someone_elses_is_left_alone(tmp_path: Path) -> None:
    finished(tmp_path, "a")
    (tmp_path / "JOURNAL.md").write_text("# My journal\n")
    with pytest.raises(UserError, match="not made by tuner, so it is left as it is; rename it"):
        write_journal(tmp_path)
    assert (tmp_path / "JOURNAL.md").read_text() == "# My journal\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_a_users_mistake(tmp_path: Path) -> None:
    store = finished(tmp_path, "a")
    store.folder.chmod(0o500)
    with pytest.raises(UserError, match="the note is not kept"):
        add_note(store, "hello")


@pytest.mark.parametrize(
    ("text", "trial", "told"),
    [
        (" \n", None, "the text is empty"),
        ("fine", "t001", "no trial 't001'; did you mean 't0001'"),
    ],
)
def test_a_note_needs_a_text_and_a_trial_that_exists(tmp_path: Path, text: str, trial: str | None, told: str) -> None:
    store = finished(tmp_path, "a")
    with pytest.raises(UserError, match=told):
        add_note(store, text, trial)
    assert not store.notes_jsonl.exists()


def test_note_writes_to_the_journal_beside_the_search(tmp_path: Path, run_tuner: RunTuner) -> None:
    store = finished(tmp_path, "a")
    ran = run_tuner("note", store.folder, "next: more data", "--results", tmp_path / "elsewhere")
    assert (ran.code, ran.out) == (0, f"noted in {store.notes_jsonl}\n")
    assert "**Next:** more data\n" in (tmp_path / "JOURNAL.md").read_text()
    assert "next: more data" in run_tuner("show", "a", "--results", tmp_path).out
