from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_runs import make_search, make_trial, points

from trainable.errors import UserError
from tuner.conclusions.conclude import MOST_LINES, conclude_table, conclusions_of
from tuner.conclusions.importances import Importances
from tuner.evidence.gathering import Evidence, Interval
from tuner.records import Rerun, SearchRecord

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_freeze_grid_supports_one_of_its_three_conclusions() -> None:
    text = conclude_table(EXAMPLES / "freeze_grid.csv")
    assert "lr_schedule: cosine - plateau: +0.33 ± 0.30 over 14 pairs: not shown" in text
    assert re.search(r"freeze_blocks 6: -2\.7\d ± 0\.44 .*: shown, worse \(95 % \[-4\.05, -1\.39\]", text)
    assert "freeze_blocks 0, 1, 2, 3, 4, 5, each against the mean of the others: not shown" in text
    assert re.search(r"head: .* over 14 pairs: not shown", text)
    assert "in percent points" in text
    assert "model: ignored: it numbers the rows" in text


def test_the_f2_table_supports_nothing() -> None:
    text = conclude_table(EXAMPLES / "f2_table.csv")
    assert (
        "3 rows with backbone resnet50, pos_weight '-', epochs 5 (0.924, 0.922, 0.878) differ by 0.046 "
        "with every listed setting equal, so smaller differences are not supported"
    ) in text
    assert "pos_weight: '+' - '-': -0.007 over one pair, no interval: not supported" in text
    assert ": shown" not in text


def test_another_metric_of_the_table() -> None:
    text = conclude_table(EXAMPLES / "freeze_grid.csv", metric="recall_pct", ignored=["head"])
    assert text.startswith("# freeze_grid.csv: recall_pct (higher is better)")
    assert "head: ignored: as asked" in text
    assert "accuracy_pct: metric: not the objective" in text


def grid_search(**fields: object) -> SearchRecord:
    rows = points(**{"head.kind": ["linear", "mlp"], "freeze": [0, 2, 4], "batch_size": [8, 16]})
    trials = [
        make_trial(at, 0.5 + 0.2 * (row["head.kind"] == "mlp") + 0.01 * (at * at % 5), params=row, config={"n": at})
        for at, row in enumerate(rows, start=1)
    ]
    return make_search(*trials, **fields)


def test_a_grid_shows_effects_first() -> None:
    text = conclusions_of(grid_search())
    assert text.startswith("## Conclusions\n\n12 trials of equal fidelity.")
    first = next(line for line in text.splitlines() if line.startswith("- "))
    assert re.fullmatch(
        r"- head\.kind: mlp - linear: \+0\.2\d\d ± 0\.\d{3} over 6 pairs: shown, better \(.*\)\.", first
    )


def pair_search(**fields: Any) -> SearchRecord:
    """Two trials, 0.5 and 0.6, and repeats of both with seeds 1 to 4, always about 0.1 apart."""
    trials = [make_trial(at, 0.4 + at / 10, params={"head.kind": f"h{at}"}, config={"n": at}) for at in (1, 2)]
    apart = ((1, 0.3, 0.41), (2, 0.6, 0.7), (3, 0.45, 0.54), (4, 0.5, 0.61))
    again = [
        make_trial(of, values[of - 1], id=f"t{of:04}-r{seed}", rerun=Rerun(f"t{of:04}", "repeat", seed, 0))
        for seed, *values in apart
        for of in (1, 2)
    ]
    return make_search(*trials, reruns=tuple(again), data={"sizes": {"val": 40}, "data_seed": 0}, **fields)


def test_repeats_give_a_pair_its_interval() -> None:
    text = conclusions_of(pair_search(seed=0))
    assert "2 trials of equal fidelity, and 8 repeats of 2 of them." in text
    assert re.search(r"head\.kind: h2 - h1: \+0\.102 ± 0\.\d{3} over 5 pairs: shown, better", text)


def test_one_seed_many_times_is_no_more_certain_than_repeats_are() -> None:
    search = grid_search()
    again = [
        make_trial(1, value, id=f"t0001-r{seed}", rerun=Rerun("t0001", "repeat", seed, 0))
        for seed, value in enumerate((0.2, 0.8, 0.5), start=1)
    ]
    assert "mlp - linear" in conclusions_of(search)
    assert ": shown" not in conclusions_of(replace(search, reruns=tuple(again)))


def test_a_search_of_one_seed_says_so() -> None:
    one_seed = "All trials share one seed and the same 40 validation images: the luck of neither is in these intervals"
    assert one_seed in conclusions_of(grid_search(data={"sizes": {"val": 40}}))
    assert one_seed not in conclude_table(EXAMPLES / "freeze_grid.csv")


def test_more_epochs_are_no_equal_fidelity() -> None:
    rows = points(epochs=[2, 4], batch_size=[8, 16, 32])
    trials = [
        make_trial(at, 0.1 * row["epochs"] + 0.01 * (at % 3), params=row, config={**row})  # type: ignore[operator]
        for at, row in enumerate(rows, start=1)
    ]
    text = conclusions_of(make_search(*trials))
    assert "6 trials, each trained for the epochs it asks for." in text
    assert re.search(r"- epochs: 4 - 2: .*; the best of more epochs can only be higher on validation\.\n", text)


def test_an_adaptive_search_shows_associations_only() -> None:
    text = conclusions_of(grid_search(sampler="tpe", scheduler={"kind": "asha"}))
    assert "association, n = 12" in text
    assert "shown" not in text
    assert "proposed by tpe from what earlier ones scored and stopped early by asha" in text


def test_test_is_held_against_the_interval_of_validation() -> None:
    search = make_search(
        make_trial(1, 0.5, test={"f1_macro": 0.48}), make_trial(2, 0.6, test={"f1_macro": 0.4}), make_trial(3, 0.7)
    )
    assert "Test minus validation: -0.110 on average over 2 trials" in conclusions_of(search)
    evidence = Evidence("f1_macro", {"t0001": Interval(0.45, 0.55), "t0002": Interval(0.55, 0.65)})
    assert (
        "Test agrees with validation in 1 of 2 trials scored on it; outside the 95 % interval of validation: "
        "t0002 0.400 on test, 0.600 [0.550, 0.650] on validation."
    ) in conclusions_of(search, evidence)


@pytest.mark.parametrize(
    ("curve", "epochs", "told"),
    [
        ([(0.5, 0.4, 0.4), (0.6, 0.3, 0.3), (0.5, 0.4, 0.2), (0.5, 0.5, 0.1)], 4, "; fewer epochs would do"),
        (
            [(0.5, 0.4, 0.4), (0.6, 0.3, 0.3), (0.6, 0.4, 0.2), (0.7, 0.5, 0.1)],
            4,
            "though f1_macro is best only at epoch 4",
        ),
        (
            [(0.5, 0.4, 0.4), (0.6, 0.3, 0.3), (0.7, 0.2, 0.2)],
            3,
            "2 of 2 trials that trained for all their epochs were best at",
        ),
        (
            [(0.7, 0.4, 0.4), (0.6, 0.3, 0.3), (0.6, 0.2, 0.2)],
            3,
            "were best in the first half of them: fewer epochs would do",
        ),
    ],
)
def test_curves_say_whether_epochs_were_right(curve: list[tuple[float, float, float]], epochs: int, told: str) -> None:
    trials = (make_trial(number, curve=curve, config={"epochs": epochs, "n": number}) for number in (1, 2))
    assert told in conclusions_of(make_search(*trials))


def test_trials_that_were_cut_short_are_counted() -> None:
    trials = [make_trial(1, 0.5), make_trial(2, 0.5, status="pruned"), make_trial(3, 0.5, status="pruned", error="NaN")]
    assert (
        "Of 3 trials: 1 trained for all their epochs, 1 stopped early for doing worse than others, 1 diverged (t0003)."
        in conclusions_of(make_search(*trials))
    )


def test_a_single_trial_is_told_in_the_singular() -> None:
    assert "- Of one trial: 1 failed." in conclusions_of(make_search(make_trial(1, status="failed")))


def test_a_search_without_trials_concludes_nothing() -> None:
    assert conclusions_of(SearchRecord()) == "## Conclusions\n\nNo trial has finished.\n"
    assert "One trial: there is nothing to compare." in conclusions_of(make_search(make_trial(1, 0.5)))


def test_never_more_lines_than_a_reader_takes() -> None:
    names = [f"s{at}" for at in range(40)]
    trials = [
        make_trial(at, at / 10, params={name: (at * k) % 7 for k, name in enumerate(names)}, config={"n": at})
        for at in range(1, 13)
    ]
    text = conclusions_of(make_search(*trials, sampler="random"), importances=Importances("fANOVA", 12, {"s1": 1.0}))
    bullets = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(bullets) == MOST_LINES
    assert "more lines on settings, of smaller differences, are left out" in text
    assert any(line.startswith("- Importance") for line in bullets)


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["0.5", "0.6", "1", "a", "-"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=8))
def test_any_table_gives_conclusions_or_says_what_is_wrong_with_it(
    write_table: Callable[[str], Path], rows: list[list[str]]
) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path = write_table("\n".join(["a,b,f1", *quoted]) + "\n")
    with contextlib.suppress(UserError):
        text = conclude_table(path)
        assert "## Conclusions" in text
        assert sum(line.startswith("- ") for line in text.partition("## Conclusions")[2].splitlines()) <= MOST_LINES
