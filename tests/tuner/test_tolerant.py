from __future__ import annotations

import math
from typing import Any

import pytest

from tuner.tolerant import integer, mapping, metrics, number, text

STRANGE: list[Any] = [None, "1", True, [], {}, math.nan, math.inf, -math.inf, 10**400, object()]


@pytest.mark.parametrize("value", STRANGE)
def test_what_is_no_finite_number_is_missing(value: Any) -> None:
    assert number(value) is None


def test_numbers_stay() -> None:
    assert (number(2), number(0.5), number(-0.0)) == (2.0, 0.5, 0.0)
    assert isinstance(number(2), float)


@pytest.mark.parametrize("value", [None, "1", True, 1.0, math.nan])
def test_what_is_no_whole_number_is_missing(value: Any) -> None:
    assert integer(value) is None
    assert integer(3) == 3


@pytest.mark.parametrize("value", [None, 1, b"bytes", ["a"]])
def test_what_is_no_text_is_empty(value: Any) -> None:
    assert text(value) == ""
    assert text("a") == "a"


@pytest.mark.parametrize("value", [None, 1, "a", [("a", 1)]])
def test_what_is_no_mapping_is_empty(value: Any) -> None:
    assert mapping(value) == {}
    assert mapping({"a": 1}) == {"a": 1}


def test_metrics_without_those_that_could_not_be_computed() -> None:
    assert metrics({"f1": 0.5, "loss": None, "auc": math.nan, "odd": "x", "none": True}) == {"f1": 0.5}
    assert metrics(None) == {}
