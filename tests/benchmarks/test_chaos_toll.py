"""Whether the chaos benchmark would see what it says never happens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import toll
from benchmarks.killing import tear
from tuner.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A search of two trials, one of them at its end."""
    store = Store.create(tmp_path, "killed")
    with store.lock():
        store.append("search_started", name="killed", trials=2)
        for number, trial in enumerate(("t0001", "t0002")):
            store.append("trial_started", trial, number=number, params={"lr": number}, config={"lr": number})
            tell(store, trial, 1)
        store.append("trial_ended", "t0001", status="complete")
        tell(store, "t0002", 2)
        yield store


def tell(store: Store, trial: str, epoch: float, **fields: Any) -> None:
    store.append("epoch", trial, epoch=epoch, step=epoch, value=0.5, seconds=20.0 * epoch, **fields)


def test_what_a_kill_puts_at_risk_and_what_was_hit(store: Store) -> None:
    assert list(toll.repeats([], list(store.events()))) == []
    kill = toll.standing_of(store, "driver")
    assert set(kill.ended) == {"t0001"}
    (at_risk,) = kill.at_risk.values()
    assert (at_risk.epochs, at_risk.longest_epoch) == (2, 20)
    assert 40 <= at_risk.seconds < 50
    assert at_risk.too_much
    assert list(toll.repeats([kill], list(store.events()))) == []
    store.append("trial_ended", "t0002", status="paused")
    store.append("trial_resumed", "t0002")
    assert list(toll.repeats([kill], list(store.events()))) == [("driver", at_risk)]


def test_a_trial_that_changes_after_its_end_is_lost_and_has_run_again(store: Store) -> None:
    kill = toll.standing_of(store, "driver")
    assert toll.lost([kill], store.record()) == set()
    assert toll.run_again(list(store.events())) == []
    tell(store, "t0001", 2)
    assert toll.lost([kill], store.record()) == {"t0001"}
    assert toll.run_again(list(store.events())) == ["t0001"]


def test_two_rows_of_a_trial_are_seen(store: Store) -> None:
    store.leaderboard_csv.write_text("rank,trial\n1,t0001\n2,t0002\n")
    assert toll.duplicates(store) == []
    store.leaderboard_csv.write_text("rank,trial\n1,t0001\n2,t0001\n")
    assert toll.duplicates(store) == ["t0001"]


def test_another_value_makes_another_record(store: Store) -> None:
    whole = store.record()
    assert toll.differing(whole, store.record()) == []
    tell(store, "t0002", 3)
    assert toll.differing(whole, store.record()) == ["[('lr', 1)]"]


def test_only_an_epochs_line_is_torn(store: Store) -> None:
    whole = list(store.events())
    written = store.events_jsonl.read_bytes()
    for seed in range(20):
        store.events_jsonl.write_bytes(written)
        tear(store.events_jsonl, random.Random(seed))
        assert list(store.events()) == whole[:-1]
    store.events_jsonl.write_bytes(written)
    store.append("note", text="synced")
    tear(store.events_jsonl, random.Random(0))
    assert list(store.events())[-1]["text"] == "synced"
