"""`tuner extend` as people run it, under real Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_searches import (
    RunningSearch,
    start_extending,
    start_resuming,
    start_search,
    tiny_space,
    write_labels_csv,
    write_space,
)

from tuner.replay import replay

pytestmark = pytest.mark.real


def test_a_search_is_extended_twice_and_killed_amid_a_child(tmp_path: Path) -> None:
    space = write_space(tmp_path / "space.yaml", tiny_space(sampler="random", scheduler="none"))
    data = write_labels_csv(tmp_path / "data")
    begun = start_search(space, data, tmp_path / "results", "birds", "--trials", 2, "--workers", 1, "--top", 1)
    finished(begun)
    before = {trial.id: trial for trial in replay(begun.events()).trials}

    finished(start_extending(begun.folder, "--trials", "+1"))
    killed = start_extending(begun.folder, "--epochs", "+40", "--top", 1)
    killed.wait_for(lambda event: event["kind"] == "epoch" and "-e40" in event["trial"])
    killed.watch()
    killed.process.kill()
    killed.process.communicate(timeout=60)
    finished(start_resuming(begun.folder))
    assert killed.left_over() == []

    record = replay(begun.events())
    assert (record.status, record.budget, len(record.trials)) == ("complete", 4, 4)
    assert {trial.id: trial for trial in record.trials if trial.id in before} == before
    (child,) = [trial for trial in record.trials if trial.parent]
    assert (child.status, child.id) == ("complete", f"{child.parent}-e40")
    assert [epoch.epoch for epoch in child.epochs] == list(range(1, 41))
    assert not [note.text for note in record.notes if "is gone" in note.text]
    table = (begun.folder / "leaderboard.md").read_text()
    assert "- extended: 1 more trial; 40 more epochs for " in table


def finished(search: RunningSearch) -> None:
    ran = search.finish()
    assert ran.code == 0, ran.err
    assert search.left_over() == []
