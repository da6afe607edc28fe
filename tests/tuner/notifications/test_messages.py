from __future__ import annotations

from typing import Any

import pytest

from tuner.evidence.gathering import Evidence, Interval
from tuner.notifications.messages import told_of_budget, told_of_end, trials_nearly_through
from tuner.records import SearchRecord
from tuner.replay import replay


def search_of(values: list[float | None], asked: int = 0, **end: Any) -> SearchRecord:
    """Trials of these values, the first of them the baseline; None: one that is running."""
    objective = {"metric": "f2_macro", "direction": "maximize"}
    events: list[dict[str, Any]] = [
        {"kind": "search_started", "name": "birds", "objective": objective, "trials": asked or len(values)}
    ]
    for number, value in enumerate(values):
        trial = f"t{number + 1:04}"
        config = {"backbone": f"net{number + 1}", "freeze": "all", "optimizer": {"lr": 1e-4}}
        told = {"number": number, "baseline": number == 0, "freeze_blocks": 9, "total_blocks": 9, "config": config}
        events.append({"kind": "trial_started", "trial": trial} | told)
        if value is not None:
            events.append({"kind": "epoch", "trial": trial, "epoch": 1, "best_value": value, "best_epoch": 1})
            events.append({"kind": "trial_ended", "trial": trial, "status": "complete"})
    return replay([*events, *([{"kind": "search_ended"} | end] if end else [])])


def test_the_end_is_told_with_the_top_rows_and_the_baseline() -> None:
    search = search_of([0.5, 0.6, 0.55, 0.7, 0.52], status="complete", reason="")
    evidence = Evidence(ranks=search.ranks(), tied=frozenset({"t0004"}), intervals={"t0004": Interval(0.64, 0.77)})
    message = told_of_end(search, evidence, "s3://bucket/results/birds")
    assert (message.title, message.kind) == ("Search birds is complete", "success")
    assert message.body.splitlines() == [
        "5 of 5 trials; f2_macro, higher is better:",
        "1= t0004: 0.700 [0.64, 0.77] (+0.200); net4, freeze all (9/9), lr 1e-4",
        "2 t0002: 0.600 (+0.100); net2, freeze all (9/9), lr 1e-4",
        "3 t0003: 0.550 (+0.050); net3, freeze all (9/9), lr 1e-4",
        "5 t0001: 0.500 (baseline); net1, freeze all (9/9), lr 1e-4",
        "results: s3://bucket/results/birds",
    ]


@pytest.mark.parametrize(
    ("status", "title", "kind"),
    [("failed", "Search birds has failed", "failure"), ("stopped", "Search birds was stopped", "warning")],
)
def test_an_end_before_the_end_says_why(status: str, title: str, kind: str) -> None:
    message = told_of_end(search_of([None], status=status, reason="ValueError: no GPU\nsecond line"), Evidence(), "r")
    assert (message.title, message.kind) == (title, kind)
    assert message.body.splitlines() == [
        "ValueError: no GPU",
        "`tuner resume birds` goes on",
        "0 of 1 trials; f2_macro, higher is better:",
        "no trial has finished",
        "results: r",
    ]


def test_a_budget_is_told_with_the_rows_so_far() -> None:
    message = told_of_budget(search_of([0.5, 0.6, None], asked=10), "91% of 2 hours are over", "r")
    assert message.title == "Search birds: 91% of 2 hours are over"
    assert message.body.splitlines()[:2] == [
        "2 of 10 trials; f2_macro, higher is better:",
        "1 t0002: 0.600 (+0.100); net2, freeze all (9/9), lr 1e-4",
    ]


@pytest.mark.parametrize(
    ("through", "asked", "told"),
    [(8, 10, ""), (9, 10, "9 of 10 trials are through"), (10, 10, ""), (3, 4, ""), (95, 100, "95 of 100 trials are")],
)
def test_few_trials_are_left(through: int, asked: int, told: str) -> None:
    found = trials_nearly_through(search_of([0.5] * through, asked=asked))
    assert found.startswith(told)
    assert bool(found) is bool(told)
