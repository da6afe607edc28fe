"""How sure a value is, in the table, its CSV, best.yaml and `tuner show`."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from small_predictions import PredictedSearch, right_on

from tuner.evidence.gathering import Gatherer, gather
from tuner.report.best import best_yaml, write_outputs
from tuner.report.leaderboard import rows, to_csv, to_json, to_markdown
from tuner.report.shown import search_facts, trial_facts


@pytest.fixture
def search(tmp_path: Path) -> PredictedSearch:
    """t0002 and t0003 are tied for the first place; a reference stands between them and the baseline."""
    search = PredictedSearch(tmp_path)
    search.add("t0001", right_on(range(20)), baseline=True, total_parameters=1, images_per_second=1.0)
    search.add("t0002", right_on(range(50)), total_parameters=9, images_per_second=1.0)
    search.add("t0003", right_on(range(48)), total_parameters=5, images_per_second=1.0)
    search.log("t0004", 0.1, status="pruned")
    value = search.score("majority", right_on(range(30)))
    search.store.append("reference_scored", name="majority", val={"accuracy": value}, test={"accuracy": 0.4}, seconds=2)
    search.store.append("reference_scored", name="paper", given=True, val={"f1": 0.9})
    for number, right in enumerate((44, 46, 45, 47), start=1):
        rerun = {"of": "t0002", "kind": "repeat", "seed": number, "data_seed": 3}
        search.add(f"t0002-r{number}", right_on(range(right)), rerun=rerun)
    return search


def markdown(search: PredictedSearch, **options: Any) -> str:
    return to_markdown(search.record, gather(search.store, search.record), **options)


def lines(search: PredictedSearch, **options: Any) -> list[list[str]]:
    """The leaderboard's rows and their cells; the header first."""
    table = markdown(search, **options).split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if not line.startswith("|--")]


def test_ties_intervals_and_repeats_stand_in_the_row(search: PredictedSearch) -> None:
    header, *found = lines(search)
    by_trial = {row[1]: dict(zip(header, row, strict=True)) for row in found}
    assert [row[0] for row in found] == ["1=", "1=", "", "3", "", ""]
    objective = by_trial["t0002"]["accuracy [95 %] (vs baseline)"]
    assert re.fullmatch(r"0\.833 \[0\.7\d, 0\.9\d\] \(\+0\.500\)", objective)
    assert by_trial["t0001"]["accuracy [95 %] (vs baseline)"].endswith("] (baseline)")
    assert by_trial["t0004"]["accuracy [95 %] (vs baseline)"] == "0.100 (-0.233)"
    assert by_trial["t0002"]["repeats"] == "0.758 ± 0.022 (4)"
    assert by_trial["t0003"]["repeats"] == ""


def test_references_have_a_row_by_value_but_no_rank_or_config(search: PredictedSearch) -> None:
    header, *found = lines(search)
    assert [row[1] for row in found] == ["t0002", "t0003", "majority", "t0001", "t0004", "paper"]
    reference = dict(zip(header, found[2], strict=True))
    assert (reference["rank"], reference["backbone"], reference["status"]) == ("", "", "reference")
    assert reference["test accuracy"] == "0.400"
    assert reference["accuracy [95 %] (vs baseline)"].endswith("] (+0.167)")
    assert found[5][header.index("accuracy [95 %] (vs baseline)")] == ""


def test_references_stay_in_view_when_only_the_top_is_shown(search: PredictedSearch) -> None:
    _, *found = lines(search, top=1)
    assert [row[1] for row in found] == ["t0002", "majority", "t0001", "paper"]
    assert "2 of 4 trials are shown." in markdown(search, top=1)


def test_the_csv_has_rank_ties_and_intervals_in_full(search: PredictedSearch) -> None:
    record, evidence = search.record, gather(search.store, search.record)
    found = {row["trial"]: row for row in csv.DictReader(io.StringIO(to_csv(record, evidence)))}
    assert [found[trial]["tied"] for trial in ("t0001", "t0002", "t0003", "t0004")] == ["false", "true", "true", ""]
    assert [found[trial]["rank"] for trial in ("t0001", "t0002", "t0003", "t0004")] == ["3", "1", "1", ""]
    assert float(found["t0001"]["ci_low"]) == evidence.intervals["t0001"].low
    assert (found["majority"]["status"], found["majority"]["rank"], found["majority"]["tied"]) == ("reference", "", "")
    assert float(found["majority"]["ci_high"]) == evidence.intervals["majority"].high
    assert float(found["majority"]["delta_baseline"]) == pytest.approx(1 / 6)
    assert found["majority"]["test_accuracy"] == "0.4"
    assert found["paper"]["val_f1"] == "0.9"
    assert '"tied": true' in to_json(record, evidence)


def test_without_evidence_value_ranks_and_nothing_is_tied(search: PredictedSearch) -> None:
    found = {row["trial"]: row for row in rows(search.record)}
    assert [found[trial]["rank"] for trial in ("t0001", "t0002", "t0003")] == [3, 1, 2]
    assert {row["tied"] for row in found.values()} == {None}
    assert "95 %" not in to_markdown(search.record).partition("##")[0]


def test_the_best_yaml_says_how_sure_it_is(search: PredictedSearch) -> None:
    record, evidence = search.record, gather(search.store, search.record)
    assert record.best
    result = YAML(typ="safe").load(best_yaml(record, record.best, evidence=evidence))["result"]
    interval = evidence.intervals["t0002"]
    assert result["interval"] == [interval.low, interval.high]
    assert (result["rank"], result["tied_with"]) == (1, ["t0003"])
    assert (result["mean"], result["runs"]) == (pytest.approx(91 / 120), 4)
    assert result["sd"] == pytest.approx(0.0215, abs=1e-4)
    baseline = YAML(typ="safe").load(best_yaml(record, record.trials[0], evidence=evidence))["result"]
    assert baseline["rank"] == 3
    assert not {"tied_with", "mean", "sd", "runs"} & set(baseline)


def test_files_are_written_from_evidence_and_conclusions(search: PredictedSearch) -> None:
    evidence = Gatherer(search.store).evidence(search.record)
    for conclusions in ("", "## Conclusions\n\nNone yet."):
        write_outputs(search.store, search.record, 3, evidence, conclusions)
    text = search.store.leaderboard_md.read_text()
    assert "| 1= " in text
    assert text.index("None yet.") < text.index("## How it was made")
    assert ",ci_low," in search.store.leaderboard_csv.read_text()
    assert "tied_with" in search.store.best_yaml.read_text()
    assert sorted(path.name for path in search.store.top.iterdir()) == [
        *("01-t0002.yaml", "02-t0003.yaml", "03-t0001.yaml"),
    ]


def test_a_shown_trial_says_how_sure_it_is_and_a_rerun_what_of(search: PredictedSearch) -> None:
    record, evidence = search.record, gather(search.store, search.record)
    facts = trial_facts(record, "t0002", evidence)
    assert (facts["rank"], facts["tied_with"], facts["runs"], facts["rerun"]) == (1, ["t0003"], 4, None)
    assert trial_facts(record, "t0002-r1", evidence)["rerun"]["of"] == "t0002"
    assert search_facts(record)["references"] == {"majority": {"accuracy": 0.5}, "paper": {"f1": 0.9}}
