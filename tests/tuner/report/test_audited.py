from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.report.audited import audit_section
from tuner.report.footnotes import footnotes
from tuner.report.leaderboard import to_markdown


def search(*trials: tuple[Sequence[float], str, dict[str, Any]]) -> SearchRecord:
    """Trials with these values by epoch, a status, and what their last event says."""
    log: list[dict[str, Any]] = [
        {
            "kind": "search_started",
            "name": "flowers",
            "objective": {"metric": "f2_macro", "direction": "maximize"},
            "scheduler": {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2},
        }
    ]
    for number, (values, status, facts) in enumerate(trials):
        of = {"trial": f"t{number + 1:04d}"}
        log.append({**of, "kind": "trial_started", "number": number, "config": {"epochs": 4}, "baseline": number == 0})
        if "audit" in facts:
            log.append({**of, "kind": "trial_resumed", **facts})
        for epoch, value in enumerate(values, start=1):
            now = {"epoch": epoch, "value": value, "best_value": max(values[:epoch]), "best_epoch": epoch}
            log.append({**of, "kind": "epoch", **now})
        log.append({**of, "kind": "trial_ended", "status": status, **facts})
    return replay(log)


BASELINE, BEST = ([0.1] * 4, "complete", {}), ([0.2, 0.3, 0.4, 0.6], "complete", {})
PAUSED = ([0.15], "paused", {"rung": 1})


def section(record: SearchRecord) -> str:
    return "\n\n".join(audit_section(record))


def test_an_audit_tells_each_trial_s_place_and_how_little_it_shows() -> None:
    audited = ([0.18, 0.2, 0.3, 0.5], "complete", {"audit": 1})
    told = section(search(BASELINE, BEST, PAUSED, audited))
    assert told.startswith("## Was halving safe?\n\n1 of 2 halted trials, drawn at random, were trained on, 1 of them")
    assert [line.split() for line in told.splitlines() if line.startswith("| 1 ")] == [
        ["|", "1", "|", "1", "|", "3", "|", "1.00", "|", "fewer", "than", "10", "trials", "|"]
    ]
    assert "- t0004, halted at rung 1 (1 epoch), came to 0.500: rank 2 of 3 by value" in told
    assert "none would have been first. So few do not show that no halted one would: up to 95% of such trials" in told


def test_a_halted_trial_that_would_have_won_is_a_loss() -> None:
    audited = ([0.12, 0.2, 0.3, 0.9], "complete", {"audit": 1})
    told = section(search(BASELINE, BEST, audited))
    assert "rank 1 of 3 by value" in told
    assert told.endswith("Halving lost something here: t0003 would have been first.")


def test_an_audit_that_came_to_nothing_says_nothing() -> None:
    assert section(search(BASELINE, BEST, PAUSED)) == ""
    failed = ([0.12], "failed", {"audit": 1, "error": "no disk"})
    assert section(search(BASELINE, failed)) == ""
    done = ([0.12, 0.2, 0.3, 0.5], "complete", {"audit": 1})
    assert "1 of them to the end; 1 did not come so far." in section(search(BASELINE, BEST, done, failed))


def test_audited_rows_are_marked_and_ranked() -> None:
    record = search(BASELINE, ([0.12, 0.2, 0.3, 0.9], "complete", {"audit": 1}))
    text = to_markdown(record)
    assert "complete‡" in text
    assert "‡ Halted at a rung, then drawn at random and trained to the end" in text
    assert record.ranks() == {"t0002": 1, "t0001": 2}


def test_paused_rows_say_where_they_wait() -> None:
    second = ([0.15, 0.2], "paused", {"rung": 2})
    out_of_time = ([0.15, 0.2], "paused", {})
    record = search(BASELINE, PAUSED, PAUSED, second, out_of_time)
    (told,) = (text for text in footnotes(record, None, record.trials) if text.startswith("Paused"))
    assert told.endswith("can go on: t0002, t0003 at rung 1 (1 epoch); t0004 at rung 2 (2 epochs).")


@pytest.mark.parametrize("facts", [{"rung": "odd"}, {"rung": 9}, {"rung": None}])
def test_odd_rungs_in_a_log_do_no_harm(facts: dict[str, Any]) -> None:
    record = search(BASELINE, ([0.15], "paused", facts))
    assert "flowers" in to_markdown(record)
