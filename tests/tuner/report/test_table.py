from __future__ import annotations

from typing import Any

import pytest

from tuner.report import table


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, ""),
        ("cosine", "cosine"),
        (1e-3, "1e-3"),
        (2.5e-5, "2.5e-5"),
        (0.25, "0.25"),
        (0.0, "0"),
        (12345.0, "1.23e4"),
        (1234.0, "1234"),
        (7, "7"),
        (True, "true"),
        (["a", "b"], "a + b"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_short_values(value: Any, told: str) -> None:
    assert table.short(value) == told


@pytest.mark.parametrize(
    ("value", "told"), [(None, ""), (0.12345, "0.123"), (-0.0001, "0.000"), (-0.5, "-0.500"), (1.0, "1.000")]
)
def test_metrics(value: float | None, told: str) -> None:
    assert table.metric(value) == told


@pytest.mark.parametrize(("value", "told"), [(0.02, "+0.020"), (-0.02, "-0.020"), (-0.0001, "+0.000"), (0.0, "+0.000")])
def test_changes_have_a_sign(value: float, told: str) -> None:
    assert table.change(value) == told


@pytest.mark.parametrize(
    ("given", "blocks", "total", "told"),
    [
        ("all", 9, 9, "all (9/9)"),
        ("50%", 4, 9, "50% (4/9)"),
        (4, 4, 9, "4/9"),
        (None, 4, 9, "4/9"),
        ("50%", None, None, "50%"),
    ],
)
def test_freeze_says_what_it_came_to(given: Any, blocks: int | None, total: int | None, told: str) -> None:
    assert table.freeze(given, blocks, total) == told


def test_heads_and_schedules_in_words() -> None:
    assert table.head({"kind": "linear"}) == "linear"
    assert table.head({"kind": "mlp", "dropout": 0.2, "width": 256}) == "mlp 256, dropout 0.2"
    assert table.schedule({"kind": "plateau", "patience_epochs": 1, "factor": 0.5}) == "plateau(1, 0.5)"
    assert table.schedule({"kind": "constant"}) == "constant"
    assert table.head(None) == table.schedule(None) == ""


def test_nothing_in_a_cell_acts() -> None:
    assert table.escape("a|b\n*c* <b> [d](e) `f` \\") == "a\\|b \\*c\\* &lt;b> \\[d\\](e) \\`f\\` \\\\"
    text = table.table(["x|y"], [["1\n2"], ["007"]])
    assert len(text.splitlines()) == 4
    assert "007" in text
    assert "x\\|y" in text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, "no reason recorded"),
        ("one\ntwo", "one"),
        ("Traceback (most recent call last):\n  ...\nValueError: bad", "ValueError: bad"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_a_reason_is_one_line(error: str | None, told: str) -> None:
    assert table.reason(error) == told


def test_an_interval_has_as_many_decimals_as_it_needs() -> None:
    assert table.interval(0.7123, 0.8149) == "[0.71, 0.81]"
    assert table.interval(0.7123, 0.7249) == "[0.712, 0.725]"
    assert table.interval(-0.0012, 0.2) == "[0.00, 0.20]"
    assert table.interval(-0.034, 0.2, table.change) == "[-0.03, +0.20]"


def test_a_spread_of_one_run_has_no_deviation() -> None:
    assert table.spread(0.7414, 0.0121, 3) == "0.741 ± 0.012 (3)"
    assert table.spread(0.7414, None, 1) == "0.741 (1)"


def test_brackets_around_numbers_are_left_and_those_of_links_are_not() -> None:
    assert table.escape("0.763 [0.71, 0.81] (+0.021)") == "0.763 [0.71, 0.81] (+0.021)"
    assert table.escape("[1](javascript:x)") == "\\[1\\](javascript:x)"
    assert table.escape("[a, b]") == "\\[a, b\\]"


def test_stages_in_a_cell() -> None:
    two = [{"epochs": 7, "freeze": "all", "lr": 1e-3}, {"epochs": 5, "freeze": 0, "lr": None}]
    assert table.short(two) == "7 (all, 1e-3) + 5 (0)"
    assert table.short([]) == ""


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({}, ""),
        ({"hits": 0, "misses": 0, "bytes": 0}, ""),
        ({"hits": 96, "misses": 4, "bytes": 12 * 2**20}, "96 % shared, 12 MiB"),
        ({"hits": 9999, "misses": 1, "bytes": 0}, "99 % shared, 0 MiB"),
        ({"hits": 0, "misses": 5, "bytes": 3 * 2**29}, "0 % shared, 1.5 GiB"),
    ],
)
def test_how_features_were_come_by(counts: dict[str, int], told: str) -> None:
    assert table.features(counts) == told
