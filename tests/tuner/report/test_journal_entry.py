from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.records import Note, Reference, Retrained, SearchRecord
from tuner.replay import replay
from tuner.report.journal_entry import Standing, to_entry

texts = st.text(max_size=30) | st.text("|`\\<&*[]#-\n\r\u2028\ud800a", max_size=12)


def scored_on_test(events: list[dict[str, Any]], **scores: float) -> SearchRecord:
    """The small search with these trials scored on test."""
    found = [{"kind": "test_scored", "trial": trial, "test": {"f2_macro": f2}} for trial, f2 in scores.items()]
    return replay([*events, *found])


def test_an_entry_says_what_was_asked_and_what_came_out(search: SearchRecord) -> None:
    ended = replace(search, hypothesis="deeper is better", status="complete", overrides=("image_size: 96 -> 64",))
    entry = to_entry(ended, "flowers", link="flowers/leaderboard.md")
    assert entry.startswith("## 2026-01-01 00:00 flowers\n\n**Hypothesis:** deeper is better\n")
    assert "space quick, data flowers 0123456789ab, images train 10, val 5, changed image_size: 96" in entry
    assert (
        "**Result:** t0002 (lite0, freeze 50% (4/9), mlp 256, dropout 0.2, plateau(1, 0.5), lr 1e-5) is best, "
        "f2_macro 0.600 (+0.100); 2 of 4 trials finished.\n"
    ) in entry
    assert entry.endswith("[Leaderboard](flowers/leaderboard.md)\n")


def test_both_splits_have_their_change_from_the_baseline(events: list[dict[str, Any]]) -> None:
    entry = to_entry(scored_on_test(events, t0001=0.4, t0002=0.45), "flowers")
    assert "| VAL  | 0.600 (+0.100) | 0.250 (+0.000) |" in entry
    assert "| TEST | 0.450 (+0.050) |                |" in entry
    assert "**Does test agree with val?** In sign yes: +0.100 from the baseline on val, +0.050 on test." in entry


def test_a_gain_that_test_does_not_show_is_said(events: list[dict[str, Any]]) -> None:
    search = scored_on_test(events, t0001=0.4, t0002=0.3)
    entry = to_entry(search, "flowers", Standing(("t0001",), (0.5, 0.7)))
    assert "In sign no: +0.100 from the baseline on val, -0.100 on test; 0.300 on test is outside val's" in entry
    assert "Not told apart from it: t0001 (baseline)." in entry


def test_without_a_test_split_nothing_is_said_of_it(search: SearchRecord) -> None:
    entry = to_entry(search, "flowers", Standing((), (0.5, 0.7)))
    assert "TEST" not in entry
    assert "agree" not in entry


def test_references_stand_beside_the_result(search: SearchRecord) -> None:
    held = Reference("best | model", given=True, val={"f2_macro": 0.9}), Reference("other", val={"accuracy": 0.5})
    assert "For comparison: best \\| model 0.900.\n" in to_entry(replace(search, references=held), "flowers")


def test_retrained_models_are_told_with_their_one_score_on_test(search: SearchRecord) -> None:
    models = (
        Retrained("t0002", ("train", "val"), steps=10, folder="retrained/t0002", test={"f2_macro": 0.7}),
        Retrained("t0002", ("train", "val", "test"), steps=10, folder="retrained/t0002-all"),
    )
    assert (
        "t0002 was retrained on train + val, f2_macro 0.700 on test. t0002 was retrained on train + val + test.\n"
    ) in to_entry(replace(search, retrained=models), "flowers")


def test_a_baseline_that_nothing_beats_is_the_result(make_search: Callable[..., SearchRecord]) -> None:
    entry = to_entry(make_search((0.5, "complete", None), (0.4, "complete", None)), "flowers")
    assert "None beats the baseline t0001 (" in entry
    assert "f2_macro 0.500; 2 of 2 trials finished, running." in entry


@pytest.mark.parametrize("status", ["running", "stopped"])
def test_a_search_without_a_finished_trial_has_an_entry(make_search: Callable[..., SearchRecord], status: str) -> None:
    search = replace(make_search((None, None, None)), status=status, reason="interrupted")
    assert f"No trial is ranked; 0 of 1 trials finished, {status}: interrupted." in to_entry(search, "flowers")


def test_marked_notes_have_places_of_their_own(search: SearchRecord) -> None:
    notes = (
        Note("2026-01-02T10:11:12.123Z", "Worked: the head\nof two layers"),
        Note("2026-01-02T10:12:00Z", "next: more data"),
        Note("2026-01-02T10:13:00Z", "odd curve", "t0002"),
    )
    entry = to_entry(replace(search, notes=notes, status="complete"), "flowers", conclusions=["cosine: not shown"])
    assert "**What worked:**\n\n- the head of two layers\n- cosine: not shown\n" in entry
    assert "**Next:** more data\n" in entry
    assert "**Notes:**\n\n- 2026-01-02 10:13 t0002: odd curve\n" in entry
    assert entry.count("more data") == 1


@pytest.mark.parametrize(
    ("epochs", "hint"),
    [(2, "more epochs, since t0001 was best at its last one (2)"), (9, None)],
)
def test_the_curve_suggests_what_is_next(
    make_search: Callable[..., SearchRecord], epochs: int, hint: str | None
) -> None:
    search = replace(make_search((0.5, "complete", None)), status="complete")
    (trial,) = search.trials
    entry = to_entry(replace(search, trials=(replace(trial, config={"epochs": epochs}),)), "flowers")
    assert (f"**Next:** {hint}\n" in entry) if hint else ("**Next:**" not in entry)


def test_an_early_peak_suggests_fewer_epochs(make_search: Callable[..., SearchRecord]) -> None:
    search = replace(make_search((0.5, "complete", None)), status="complete")
    (trial,) = search.trials
    peaked = replace(trial.epochs[1], epoch=8, step=8)
    trial = replace(trial, config={"epochs": 9}, epochs=(*trial.epochs, peaked))
    assert "fewer epochs or more regularisation, since t0001 was best at epoch 2 of 8" in to_entry(
        replace(search, trials=(trial,)), "flowers"
    )


@given(texts, texts, texts)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_leaves_the_layout_alone(search: SearchRecord, name: str, hypothesis: str, note: str) -> None:
    told = replace(search, hypothesis=hypothesis, notes=(Note(note, note), Note("", f"next: {note}")))
    entry = to_entry(told, name)
    assert sum(line.startswith("#") for line in entry.splitlines()) == 1
    assert "<" not in entry
    entry.encode()
