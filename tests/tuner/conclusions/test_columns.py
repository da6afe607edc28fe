from __future__ import annotations

import pytest

from tuner.conclusions.columns import direction_of, levels_of, read_columns, score


def roles(table: dict[str, list[str]], **options: object) -> dict[str, str]:
    rows = list(zip(*table.values(), strict=True))
    given: dict[str, object] = {"metric": None, "ignored": ()} | options
    return {column.name: column.role for column in read_columns(list(table), rows, **given)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "accuracy",
        "Acc (%)",
        "f1",
        "F2",
        "f0.5_macro",
        "val_f1_micro",
        "test AP",
        "roc_auc",
        "bce_loss",
        "top5",
        "recall_pct",
    ],
)
def test_metrics_are_known_by_name(name: str) -> None:
    assert roles({"lr": ["1", "2"], name: ["0.5", "0.6"]}) == {"lr": "setting", name: "objective"}


@pytest.mark.parametrize(
    "name", ["id", "run", "model_index", "No.", "ClearML link", "url", "date", "notes", "seed", "seconds", ""]
)
def test_what_is_no_setting_is_known_by_name(name: str) -> None:
    assert roles({name: ["a", "b"], "f1": ["0.5", "0.6"]})[name] == "ignored"


@pytest.mark.parametrize(
    "name", ["model_name", "train_size", "layers", "frozen blocks", "learning_rate", "block_number"]
)
def test_settings_are_the_rest(name: str) -> None:
    assert roles({name: ["1", "3", "7"], "f1": ["0.5", "0.6", "0.7"]})[name] == "setting"


def test_a_first_column_that_counts_rows_is_no_setting() -> None:
    values = {"head": ["a", "b", "a"], "f1": ["0.5", "0.6", "0.7"]}
    assert roles({"model": ["1", "2", "3"]} | values)["model"] == "ignored"
    assert roles({"model": ["2", "0", "1"]} | values)["model"] == "ignored"
    assert roles({"model": ["1", "2", "2"]} | values)["model"] == "setting"
    assert roles({"freeze_blocks": ["0", "1", "2"]} | values)["freeze_blocks"] == "setting"
    assert roles(values | {"model": ["1", "2", "3"]})["model"] == "setting"


def test_the_first_metric_is_the_objective_but_for_one_on_train() -> None:
    table = {"train_loss": ["1", "2"], "loss": ["bce", "focal"], "f1": ["0.5", "0.6"], "recall": ["1", "1"]}
    assert roles(table) == {"train_loss": "metric", "loss": "setting", "f1": "objective", "recall": "metric"}
    assert roles(table, metric="recall")["f1"] == "metric"
    assert roles(table, ignored=["f1"])["recall"] == "objective"
    assert roles({"quality": ["1", "2"], "x": ["a", "b"]}, metric="quality")["quality"] == "objective"


@pytest.mark.parametrize(
    ("cell", "value"),
    [("0.59", 0.59), (" 97,6 % ", 97.6), ("0.59 (+0.02)", 0.59), ("1e-3", 0.001), ("-1", -1.0)]
    + [(text, None) for text in ("", "~94 %", "~99.xx %", "nan", "inf", "0.5?", "-", "1 2")],
)
def test_cells_of_metrics(cell: str, value: float | None) -> None:
    assert score(cell) == value


def test_cells_of_settings() -> None:
    assert levels_of(["1", " 2.0", "1e-5", ""]) == [1, 2, 1e-5, "empty"]
    assert levels_of(["50%", "4", "4.0"]) == ["50%", "4", "4.0"]
    assert levels_of(["+", "-"]) == ["+", "-"]


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("loss", "minimize"),
        ("bce_loss", "minimize"),
        ("error_rate_pct", "minimize"),
        ("f1", "maximize"),
        ("glossiness", "maximize"),
    ],
)
def test_losses_and_errors_are_to_be_small(name: str, direction: str) -> None:
    assert direction_of(name) == direction
