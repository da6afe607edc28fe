from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.report.leaderboard import rows, to_csv, to_json, to_markdown

COLUMNS = (
    "rank,trial,status,tied,backbone,freeze,freeze_blocks,head,schedule,pos_weight,lr,augment,head.dropout,head.width,"
    "micro_batch,optimizer.kind,schedule.factor,schedule.patience_epochs,stages,best_epoch,epochs_run,objective,"
    "delta_baseline,ci_low,ci_high,val_f2_macro,val_f2_macro@0.5,val_loss,test_f2_macro,trained_parameters,"
    "total_parameters,seconds,images_per_second,peak_memory_gib,seed,data_hash,parent,error,link,latency_ms,pareto"
)

texts = st.text(max_size=30) | st.text("|`\\<&*[]\n\r\x0b\u2028\ud800a", max_size=12)


def table_lines(markdown: str) -> list[str]:
    return [line for line in markdown.split("\n") if line.startswith("|")]


def cells(line: str) -> list[str]:
    """Cells as GitHub splits them: at pipes that no odd number of backslashes precedes."""
    parts = re.findall(r"(?:\\.|[^|\\])*", line)
    return [part.strip() for part in parts if part.strip()]


def unescaped_pipes(line: str) -> int:
    return len(re.sub(r"\\.", "", line)) - len(re.sub(r"\\.", "", line).replace("|", ""))


def row_of(markdown: str, trial: str) -> str:
    return next(line for line in table_lines(markdown) if f"| {trial} " in line)


def test_csv_has_the_pinned_columns_in_order(events: list[dict[str, Any]]) -> None:
    scored = {"kind": "test_scored", "trial": "t0002", "test": {"f2_macro": 0.55}, "reads": 1}
    found = list(csv.reader(io.StringIO(to_csv(replay([*events, scored])), newline="")))
    assert ",".join(found[0]) == COLUMNS
    assert all(len(row) == len(found[0]) for row in found)
    assert dict(zip(found[0], found[2], strict=True))["test_f2_macro"] == "0.55"


def test_csv_keeps_numbers_exactly_and_texts_whole(search: SearchRecord) -> None:
    found = {row["trial"]: row for row in csv.DictReader(io.StringIO(to_csv(search), newline=""))}
    assert found["t0002"]["lr"] == "1e-05"
    assert float(found["t0002"]["delta_baseline"]) == 0.6 - 0.5
    assert found["t0002"]["stages"] == "[]"
    assert found["t0002"]["micro_batch"] == ""
    assert found["t0002"]["head"] == "mlp"
    assert found["t0003"]["error"] == "CUDA | `out of memory`\n<b>more"


def test_csv_of_a_search_without_trials_is_its_header() -> None:
    text = to_csv(replay([]))
    assert text.count("\n") == 1
    assert text.startswith(COLUMNS.partition("augment,")[0] + "best_epoch,")


def test_only_finished_trials_are_ranked_and_the_rest_keep_their_place_by_value(search: SearchRecord) -> None:
    found = [(row["trial"], row["rank"]) for row in rows(search)]
    assert found == [("t0004", None), ("t0002", 1), ("t0001", 2), ("t0003", None)]


def test_a_lower_objective_is_better_when_minimised(make_search: Callable[..., SearchRecord]) -> None:
    objective = {"metric": "loss", "direction": "minimize"}
    found = make_search((0.5, "complete", None), (0.25, "complete", None), objective=objective)
    assert [row["trial"] for row in rows(found)] == ["t0002", "t0001"]
    assert rows(found)[0]["delta_baseline"] == -0.25
    assert "(lower is better)" in to_markdown(found)


def test_json_is_strict_and_holds_the_rows(search: SearchRecord) -> None:
    record = json.loads(to_json(search), parse_constant=pytest.fail)
    assert record["objective"] == {"metric": "f2_macro", "direction": "maximize"}
    assert record["rows"] == rows(search)


def test_markdown_says_what_a_reader_needs(search: SearchRecord) -> None:
    markdown = to_markdown(search)
    assert markdown.startswith("# flowers: f2_macro (higher is better)\n")
    assert cells(row_of(markdown, "t0002")) == [
        *("1", "t0002", "lite0", "50% (4/9)", "mlp 256, dropout 0.2", "plateau(1, 0.5)", "none", "1e-5", "2/2"),
        *("0.600 (+0.100)", "0.125", "0.250", "3", "early_stopped"),
    ]
    assert "0.500 (baseline)" in row_of(markdown, "t0001")
    assert "accuracy" not in markdown
    for line in ("data: 0123456789ab", "images: train 10, val 5", "data_seed: 3", "seed: 7", "sampler: tpe"):
        assert f"\n- {line}\n" in markdown
    for line in ("precision: fp32", "test_reads: 0", "trials: 4 of 4", "versions: python 3.11, torch 2.9.0"):
        assert f"\n- {line}\n" in markdown
    assert "\n- scheduler: asha, grace_epochs 1, reduction_factor 3, within schedule.kind\n" in markdown


def test_a_pruned_trial_above_the_best_is_marked_and_explained(search: SearchRecord) -> None:
    markdown = to_markdown(search)
    assert cells(row_of(markdown, "t0004"))[0] == "†"
    assert re.search(r"^† Above the best finished trial t0002 .*: t0004 \(pruned\)\.$", markdown, re.MULTILINE)


def test_failed_trials_are_listed_with_their_reason_in_one_line(search: SearchRecord) -> None:
    assert "\n- t0003 failed: CUDA \\| \\`out of memory\\`\n" in to_markdown(search)


def test_a_traceback_is_cut_down_to_its_last_line(make_search: Callable[..., SearchRecord]) -> None:
    error = 'Traceback (most recent call last):\n  File "x.py", line 1\nOSError: disk full\n'
    assert "- t0001, t0002 failed: OSError: disk full\n" in to_markdown(
        make_search((None, "failed", error), (None, "failed", error))
    )


def test_labels_left_out_of_macro_means_are_counted_and_named(events: list[dict[str, Any]]) -> None:
    for event in events:
        if event["kind"] == "epoch":
            event["best"]["labels_left_out"] = ["rose", "no"]
    assert "Left out of macro means, having no positive image in a split: 2 (no, rose)." in to_markdown(replay(events))


def test_without_a_finished_trial_none_is_ranked(make_search: Callable[..., SearchRecord]) -> None:
    assert "No trial has finished" in to_markdown(make_search((0.5, None, None)))


def test_top_keeps_the_baseline_in_view(search: SearchRecord) -> None:
    markdown = to_markdown(search, top=1)
    assert [cells(line)[1] for line in table_lines(markdown)[2:]] == ["t0004", "t0001"]
    assert "2 of 4 trials are shown." in markdown


def test_extra_columns_stand_last(search: SearchRecord) -> None:
    found = table_lines(to_markdown(search, extra={"link": {"t0002": "https://clearml/1|2"}}))
    assert cells(found[0])[-1] == "link"
    assert cells(found[3])[-1] == "https://clearml/1\\|2"


def test_the_test_objective_has_a_column_once_a_trial_was_scored(events: list[dict[str, Any]]) -> None:
    scored = {"kind": "test_scored", "trial": "t0002", "test": {"f2_macro": 0.55}, "reads": 1}
    markdown = to_markdown(replay([*events, scored]))
    assert "test f2_macro" in cells(table_lines(markdown)[0])
    assert "0.550" in row_of(markdown, "t0002")
    assert "- test_reads: 1\n" in markdown


@given(
    name=texts,
    error=texts,
    metric=texts,
    status=st.sampled_from(["complete", "failed", "pruned", None]),
    value=st.floats(0, 1) | st.just(float("nan")),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_keeps_the_table_rectangular(
    make_search: Callable[..., SearchRecord], name: str, error: str, metric: str, status: str | None, value: float
) -> None:
    objective = {"metric": metric, "direction": "maximize"}
    found = make_search((0.5, "complete", None), (value, status, error), name=name, space=error, objective=objective)
    markdown = to_markdown(found, extra={name: {"t0001": error, "t0002": metric}})
    lines = table_lines(markdown)
    assert len(lines) == 4
    assert len({unescaped_pipes(line) for line in lines}) == 1
    assert "<" not in markdown
    assert markdown == to_markdown(found, extra={name: {"t0001": error, "t0002": metric}})
    markdown.encode()
    json.loads(to_json(found), parse_constant=pytest.fail)
    parsed = list(csv.reader(io.StringIO(to_csv(found), newline="")))
    assert len({len(row) for row in parsed}) == 1


def test_a_log_without_details_still_gives_a_table() -> None:
    bare = [{"kind": "epoch", "trial": "t0001", "epoch": 1, "best_value": 0.5, "best_epoch": 1}]
    assert "t0001" in to_markdown(replay(bare))
    assert rows(replay(bare))[0]["objective"] == 0.5


def test_what_was_searched_has_a_column_where_it_differs(make_search: Callable[..., SearchRecord]) -> None:
    found = make_search((0.5, "complete", None), (0.25, "complete", None), axes=["augment", "backbone", "epochs"])
    augments = iter(("light", "strong"))
    trials = [replace(trial, config={**trial.config, "augment": next(augments)}) for trial in found.trials]
    header, _, *lines = table_lines(to_markdown(replace(found, trials=tuple(trials))))
    assert cells(header)[8:10] == ["augment", "epochs (best/run)"]  # every trial has the same epochs
    assert [cells(line)[8] for line in lines[:2]] == ["light", "strong"]
