"""Scores at a search's end, as the phase that hands them out logs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainable.config import parse_config
from tuner.ray_backend.proposals import Proposal
from tuner.ray_backend.scoring import Scoring
from tuner.ray_backend.worker import Assignment, Work
from tuner.replay import replay
from tuner.store import Store

ASSIGNMENT = Assignment("/search", "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)


def to_score(name: str, work: Work) -> Proposal:
    return Proposal(name, parse_config({"backbone": "resnet18"}), ASSIGNMENT, work=work)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path, "search")
    store.append("trial_started", "t0001", config={})
    return store


@pytest.fixture
def scoring(store: Store) -> Scoring:
    return Scoring(store, [to_score("majority", "reference"), to_score("t0001", "test")])


def asked(scoring: Scoring) -> list[str]:
    found: list[str] = []
    while (proposal := scoring.ask()) is not None:
        found.append(proposal.trial)
    return found


def scored(scores: dict[str, Any]) -> dict[str, Any]:
    return {"status": "complete", "scores": scores}


def test_scores_are_logged_as_they_come(scoring: Scoring, store: Store) -> None:
    assert asked(scoring) == ["majority", "t0001"]
    assert scoring.report("t0001", scored({"f2_macro": 0.5}))
    scoring.end("t0001", "complete")
    reference = {"description": "always the same", "val": {"f2_macro": 0.1}, "test": {}, "seconds": 1.0}
    assert scoring.report("majority", scored(reference))
    scoring.end("majority", "complete")
    record = replay(store.events())
    assert (record.trials[0].test, record.test_reads) == ({"f2_macro": 0.5}, 1)
    assert [(found.name, found.given, found.val) for found in record.references] == [
        ("majority", False, {"f2_macro": 0.1})
    ]
    assert not scoring.running


def test_what_could_not_be_scored_leaves_a_note(scoring: Scoring, store: Store) -> None:
    for name in asked(scoring):
        scoring.end(name, "lost", "the worker process died")
        scoring.end(name, "lost", "told twice")
    assert [(note.trial, note.text) for note in replay(store.events()).notes] == [
        (None, "majority was not scored: the worker process died"),
        ("t0001", "not scored on test: the worker process died"),
    ]


def test_what_is_put_back_is_handed_out_again(scoring: Scoring) -> None:
    asked(scoring)
    scoring.put_back("majority", "the worker process died")
    assert asked(scoring) == ["majority"]


def test_an_interruption_leaves_out_what_is_not_scored(scoring: Scoring, store: Store) -> None:
    asked(scoring)
    scoring.pause()
    scoring.end("t0001", "paused")
    record = replay(store.events())
    assert not scoring.running
    assert not record.notes
    assert not record.test_reads


def test_a_latency_is_measured_while_nothing_else_runs(store: Store) -> None:
    scoring = Scoring(store, [to_score("latency-0", "latency"), to_score("majority", "reference")])
    assert asked(scoring) == ["latency-0"]
    facts = {"backbone": "resnet18", "image_size": 224, "parameters": 1, "latency_ms": 2.5, "device": "cpu"}
    assert scoring.report("latency-0", scored(facts | {"threads": 1}))
    scoring.end("latency-0", "complete")
    assert asked(scoring) == ["majority"]
    assert [cost.latency_ms for cost in replay(store.events()).model_costs] == [2.5]


def test_a_latency_that_cannot_be_measured_leaves_a_note(store: Store) -> None:
    scoring = Scoring(store, [to_score("latency-0", "latency")])
    asked(scoring)
    scoring.end("latency-0", "failed", "out of memory")
    notes = [note.text for note in replay(store.events()).notes]
    assert notes == ["the latency of resnet18 was not measured: out of memory"]
