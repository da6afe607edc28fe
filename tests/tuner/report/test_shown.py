from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from trainable.errors import UserError
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.report.footnotes import footnotes
from tuner.report.shown import search_facts, trial_facts


def test_a_search_in_facts(search: SearchRecord) -> None:
    facts = search_facts(search)
    assert (facts["name"], facts["status"], facts["objective"]) == ("flowers", "running", "f2_macro")
    assert facts["trials"] == {"complete": 1, "early_stopped": 1, "failed": 1, "pruned": 1}
    assert facts["finished"] == "3/4"
    assert (facts["best"], facts["best_value"]) == ("t0002", 0.6)
    assert json.loads(json.dumps(facts)) == facts


def test_a_trial_in_facts(search: SearchRecord) -> None:
    facts = trial_facts(search, "t0002")
    assert (facts["status"], facts["rank"], facts["baseline"]) == ("early_stopped", 1, False)
    assert [epoch["value"] for epoch in facts["curve"]] == [0.3, 0.6]
    assert facts["per_class"] == {"no": {"f2": 0.6}}
    assert facts["config"]["backbone"] == "lite0"
    assert json.loads(json.dumps(facts)) == facts
    assert trial_facts(search, "t0003")["error"].startswith("CUDA")


def test_batches_in_parts_are_told_of(events: list[dict[str, Any]]) -> None:
    assert "memory" not in trial_facts(replay(events), "t0001")
    short = {"kind": "trial_resumed", "trial": "t0001", "reason": "out of memory", "micro_batch": 8}
    events.insert(2, short | {"trains_batch_norm": True})
    assert "another config than was asked for" in trial_facts(replay(events), "t0001")["memory"]
    (told,) = (text for text in footnotes(replay(events), None, replay(events).trials) if "at a time" in text)
    assert told.startswith("t0001: 8 of ")
    events[2] = short
    assert "only memory changed" in trial_facts(replay(events), "t0001")["memory"]


def test_facts_before_anything_has_happened(make_search: Callable[..., SearchRecord]) -> None:
    assert search_facts(replay([]))["best"] is None
    assert search_facts(make_search((None, None, None)))["trials"] == {"running": 1}


def test_an_unknown_trial_names_the_nearest(search: SearchRecord) -> None:
    with pytest.raises(UserError, match=r"no trial 't002'; did you mean 't0002'\? \(it has 4 trials\)"):
        trial_facts(search, "t002")
