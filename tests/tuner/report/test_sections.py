from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_predictions import IMAGES, PredictedSearch, right_on

from tuner.evidence.gathering import gather
from tuner.report.leaderboard import rows, to_markdown
from tuner.report.sections import more_data, repeated, worth


@pytest.fixture
def search(tmp_path: Path) -> PredictedSearch:
    """The best is right on 54 of 60 images, the baseline on 40."""
    search = PredictedSearch(tmp_path, data={"data_seed": 3, "sizes": {"train": 80, "val": IMAGES, "test": IMAGES}})
    search.add("t0001", right_on(range(40)), baseline=True)
    search.add("t0002", right_on(range(54)))
    return search


def refer(search: PredictedSearch, name: str, right: np.ndarray, test: np.ndarray | None = None) -> None:
    scores = {"val": {"accuracy": search.score(name, right)}}
    if test is not None:
        scores["test"] = {"accuracy": search.score(name, test, split="test")}
    search.store.append("reference_scored", name=name, given=False, **scores)


def score_on_test(search: PredictedSearch, name: str, right: np.ndarray) -> None:
    search.store.append("test_scored", name, test={"accuracy": search.score(name, right, split="test")}, reads=1)


def again(search: PredictedSearch, id: str, right: np.ndarray, **rerun: object) -> None:
    search.add(id, right, rerun={"of": "t0002", "seed": 1, "data_seed": 3} | rerun)


def text(parts: Iterator[str]) -> str:
    return "\n\n".join(parts)


def section(search: PredictedSearch, of: str) -> str:
    record, evidence = search.record, gather(search.store, search.record)
    return text({"worth": worth, "more_data": more_data}[of](record, evidence))


def test_without_references_nothing_says_whether_it_was_worth_it(search: PredictedSearch) -> None:
    assert section(search, "worth") == ""


def test_the_best_is_held_against_baseline_and_references(search: PredictedSearch) -> None:
    refer(search, "majority", right_on(range(10)))
    refer(search, "logistic_regression", right_on(range(3, 56)))
    found = section(search, "worth")
    assert "## Was the search worth it?" in found
    assert (
        "On validation t0002 is better than t0001 (baseline) and majority; not told apart from logistic_regression."
    ) in found
    assert "+0.233 [+0.13, +0.35]" in found
    assert f"paired on {IMAGES} validation images; on validation t0002 was chosen, which flatters it." in found
    assert "They are of these single runs: the luck of the seed is not in them." in found
    assert "| test" not in found


def test_test_has_the_last_word(search: PredictedSearch) -> None:
    refer(search, "logistic_regression", right_on(range(30)), test=right_on(range(40)))
    score_on_test(search, "t0002", right_on(range(41)))
    found = section(search, "worth")
    assert "On test t0002 is not told apart from logistic_regression." in found
    assert f"paired on {IMAGES} validation images and {IMAGES} test images" in found


def test_a_lower_loss_is_the_better_one(tmp_path: Path) -> None:
    search = PredictedSearch(tmp_path, objective={"metric": "loss", "direction": "minimize"})
    least = float(np.log1p(np.exp(-1.0)))
    for name, right in (("t0001", right_on(range(54))), ("majority", right_on(range(10)))):
        loss = least + 1 - search.score(name, right)
        if name == "majority":
            search.store.append("reference_scored", name=name, given=False, val={"loss": loss})
        else:
            search.log(name, loss)
    assert "On validation t0001 is better than majority." in section(search, "worth")
    assert "In loss (lower is better); 95 % intervals" in section(search, "worth")


def test_equal_predictions_are_not_told_apart_and_need_no_interval(search: PredictedSearch) -> None:
    refer(search, "logistic_regression", right_on(range(54)))
    found = section(search, "worth")
    assert "not told apart from logistic_regression" in found
    assert "+0.000 " in found
    assert "+0.000 [" not in found


def test_a_given_reference_has_a_difference_without_an_interval(search: PredictedSearch) -> None:
    search.store.append("reference_scored", name="paper | 2019", given=True, val={"accuracy": 0.95})
    search.store.append("reference_scored", name="other metric", given=True, val={"f1": 0.95})
    rows = [line for line in section(search, "worth").splitlines() if line.startswith("|")]
    assert next(row for row in rows if "paper" in row).split("|")[-2].strip() == "-0.050"
    assert not any("other metric" in row for row in rows)


def test_repeats_and_folds_are_listed_by_what_was_changed(search: PredictedSearch) -> None:
    assert text(repeated(search.record)) == ""
    again(search, "t0002-r1", right_on(range(30)), kind="repeat")
    again(search, "t0002-r2", right_on(range(36)), kind="repeat")
    again(search, "t0002-r3", right_on(range(42)), kind="repeat", data_seed=4)
    again(search, "t0002-f1", right_on(range(48)), kind="fold", fold=0)
    again(search, "t0002-f2", right_on(range(54)), kind="fold", fold=1)
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text(repeated(search.record)).splitlines()]
    assert ["t0002", "other seeds", "0.550 ± 0.071 (2)", "0.500, 0.600"] in rows
    assert ["t0002", "other seeds and splits", "0.700 (1)", "0.700"] in rows
    assert ["t0002", "folds", "0.850 ± 0.071 (2)", "0.800, 0.900"] in rows


def test_shares_of_the_data_are_held_against_the_whole(search: PredictedSearch) -> None:
    assert section(search, "more_data") == ""
    again(search, "t0002-d50", right_on(range(44)), kind="fraction", train_share=0.5)
    again(search, "t0002-d25", right_on(range(30)), kind="fraction", train_share=0.25)
    found = section(search, "more_data")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in found.splitlines() if row.startswith("|")][2:]
    assert [row[:3] for row in rows] == [
        ["t0002-d25", "25 %", "about 20"],
        ["t0002-d50", "50 %", "about 40"],
        ["t0002", "100 %", "80"],
    ]
    assert rows[1][3].startswith("0.733 [")
    assert rows[1][4].startswith("-0.167 [-0.")
    assert rows[2][4] == ""
    assert "still gains: more images would probably help" in found


def test_a_share_is_never_of_no_images(search: PredictedSearch) -> None:
    again(search, "t0002-d0.1", right_on(range(44)), kind="fraction", train_share=0.001)
    assert "| about 1 " in section(search, "more_data")


def test_a_step_that_is_not_shown_to_gain_is_called_so(search: PredictedSearch) -> None:
    again(search, "t0002-d50", right_on(range(1, 54)), kind="fraction", train_share=0.5)
    assert "is not shown to gain anything" in section(search, "more_data")
    search.store.predictions("t0002-d50").unlink()
    assert "is more than chance is not known" in section(search, "more_data")


def test_sections_stand_between_footnotes_and_conclusions(search: PredictedSearch) -> None:
    refer(search, "majority", right_on(range(10)))
    again(search, "t0002-r1", right_on(range(30)), kind="repeat")
    again(search, "t0002-d50", right_on(range(44)), kind="fraction", train_share=0.5)
    record = search.record
    markdown = to_markdown(record, gather(search.store, record), conclusions="## Conclusions\n\nNone.\n")
    headings = [line for line in markdown.splitlines() if line.startswith("#")]
    assert headings[1:] == [
        *("## Was the search worth it?", "## The same configs again", "## Would more data help?"),
        *("## Conclusions", "## How it was made"),
    ]


def test_a_given_reference_named_like_a_trial_has_none_of_its_evidence(search: PredictedSearch) -> None:
    search.store.append("reference_scored", name="t0001", given=True, val={"accuracy": 0.95})
    record, evidence = search.record, gather(search.store, search.record)
    found = rows(record, evidence)
    assert [(row["trial"], row["status"]) for row in found] == [
        *(("t0001", "reference"), ("t0002", "complete"), ("t0001", "complete"))
    ]
    assert found[0]["ci_low"] is None
    assert "| t0001            | -0.050" in section(search, "worth")
