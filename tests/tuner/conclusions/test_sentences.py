from __future__ import annotations

from small_runs import make_runs, points

from tuner.conclusions.effects import findings_of
from tuner.conclusions.importances import Importances
from tuner.conclusions.runs import Repeats, Runs
from tuner.conclusions.sentences import importances_line, lines_of, repeats_line, untold_line


def lines(runs: Runs) -> list[str]:
    return [line for found in findings_of(runs) for line in lines_of(runs, found)]  # type: ignore[arg-type]


def test_a_pair_says_what_it_rests_on() -> None:
    values = (0.5, 0.51, 0.52, 0.6, 0.62, 0.61)
    rows = list(zip(points(head=["linear", "mlp"], lr=[1, 2, 3]), values, strict=True))
    (head, *_) = lines(make_runs(rows))
    assert head == "head: mlp - linear: +0.100 ± 0.006 over 3 pairs: shown, better (95 % [+0.075, +0.125])"
    (head, *_) = lines(make_runs(rows, direction="minimize"))
    assert head == "head: linear - mlp: -0.100 ± 0.006 over 3 pairs: shown, better (95 % [-0.125, -0.075])"


def test_a_single_pair_has_no_interval() -> None:
    runs = make_runs([({"head": "linear"}, 0.5), ({"head": "mlp"}, 0.52)])
    assert lines(runs) == ["head: mlp - linear: +0.020 over one pair, no interval: not shown"]
    repeated = make_runs(
        [({"head": "linear"}, 0.5), ({"head": "mlp"}, 0.52)], repeats=(Repeats("2 rows", (0.5, 0.55)),)
    )
    assert lines(repeated) == [
        "head: mlp - linear: +0.020 over one pair, no interval: not supported, since equal runs differ by 0.050"
    ]


def test_one_group_of_several_levels_tells_the_two_furthest_apart() -> None:
    runs = make_runs([({"head": name}, value) for name, value in (("a", 0.5), ("b", 0.9), ("c", 0.2))])
    assert lines(runs) == [
        "head: 3 levels in one group of runs equal otherwise, no interval; the largest difference, b - c, is +0.700: "
        "not shown"
    ]


def test_several_levels_say_which_is_shown() -> None:
    rows = points(kind=["a", "b", "c"], lr=[1, 2, 3, 4])
    values = [0.5 + 0.01 * (at % 3) + 0.3 * (row["kind"] == "c") for at, row in enumerate(rows)]
    better, *worse = lines(make_runs(zip(rows, values, strict=True), settings=("kind",)))
    assert better.startswith("kind c: +0.3")
    assert "against the mean of the others over 4 groups of runs equal otherwise: shown, better (95 % [" in better
    assert better.endswith("over the 3 levels together)")
    assert [line.partition(":")[0] for line in worse if ": shown, worse (" in line] == ["kind a", "kind b"]


def test_texts_of_a_table_cannot_break_the_markdown() -> None:
    rows = [({"a|b": "x*y"}, 0.5), ({"a|b": "<i>"}, 0.6), ({"a|b": "x*y"}, 0.55)]
    runs = make_runs(rows, repeats=(Repeats("2 rows with a|b x*y", (0.5, 0.55)),))
    for line in (*lines(runs), repeats_line(runs)):
        assert "a\\|b" in line
        assert "<i>" not in line


def test_the_largest_spread_of_equal_runs_is_told() -> None:
    repeats = (Repeats("2 rows with a 1", (0.5, 0.51)), Repeats("3 rows with a 2", (0.5, 0.54, 0.52)))
    assert repeats_line(make_runs([], repeats=repeats, noun="row")) == (
        "3 rows with a 2 (0.500, 0.540, 0.520) differ by 0.040 with every listed setting equal (the largest spread of "
        "2 such groups), so smaller differences are not supported by single runs"
    )
    assert repeats_line(make_runs([])) == ""


def test_importances_come_with_their_doubts() -> None:
    shares = {"lr": 0.625, "head.kind": 0.375}
    assert importances_line(make_runs([]), Importances("fANOVA", 40, shares)) == (
        "Importance of the axes (fANOVA, 40 finished trials): lr 0.62, head.kind 0.38; shares have no interval"
    )
    doubtful = importances_line(make_runs([]), Importances("PED-ANOVA", 12, shares, conditional=True))
    assert "beware, on fewer than 30 trials they are mostly noise; beware, some axes exist only beside" in doubtful
    assert importances_line(make_runs([]), Importances("fANOVA", 3, reason="too few")).endswith(
        "none computed, too few"
    )


def test_settings_of_which_nothing_can_be_told_share_a_line() -> None:
    rows = [({"a": 1, "b": "x", "c": "k"}, 0.5), ({"a": 2, "b": "y", "c": "k"}, 0.6)]
    told = untold_line(make_runs(rows), findings_of(make_runs(rows)))  # type: ignore[arg-type]
    assert told == "Nothing can be told of a, b (no two runs differ in it alone); c (one level)"
    assert untold_line(make_runs([]), []) == ""
