from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.errors import UserError
from tuner.given_reference import parse_reference, parse_references


def test_scores_over_one_are_percent_and_it_is_said() -> None:
    found = parse_reference("best ML model: accuracy=95.9, f1_macro = 0.93,loss=1.5")
    assert (found.name, found.given) == ("best ML model", True)
    assert found.val == {"accuracy": pytest.approx(0.959), "f1_macro": 0.93, "loss": 1.5}
    assert found.description == "given; read as percent: accuracy"
    assert not found.test


def test_a_percent_sign_says_percent_whatever_the_size() -> None:
    assert parse_reference("chance: accuracy=0.5%, recall_macro=50 %").val == {
        "accuracy": pytest.approx(0.005),
        "recall_macro": 0.5,
    }


def test_a_name_may_hold_colons_and_is_one_line() -> None:
    assert parse_reference("SVM: tuned\nby hand: accuracy=1").name == "SVM: tuned by hand"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be a name, a colon and scores"),
        ("accuracy=0.9", "must be a name, a colon and scores"),
        (": accuracy=0.9", "must be a name, a colon and scores"),
        ("best:", "must be a name, a colon and scores"),
        ("best: accuracy", "'accuracy' is no METRIC=VALUE"),
        ("best: accuracy=95,9", "'9' is no METRIC=VALUE; write it as 'best ML model: accuracy=0.959"),
        ("best: acuracy=0.9", "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ("best: f1=0.9", "unknown metric 'f1'; did you mean 'f1_macro'?"),
        ("best: accuracy=high", "accuracy=high is no number"),
        ("best: accuracy=nan", "accuracy=nan is no number"),
        ("best: accuracy=-0.1", "accuracy=-0.1 must lie between 0 and 1, or up to 100 as percent"),
        ("best: accuracy=959", "accuracy=959 must lie between 0 and 1, or up to 100 as percent"),
        ("best: loss=-1", "loss=-1 must be a number from 0 on"),
        ("best: accuracy=0.9, accuracy=0.8", "accuracy is given twice; keep one"),
        ("majority: accuracy=0.9", "a search computes 'majority' itself; choose another name"),
    ],
)
def test_a_mistake_is_one_line_with_the_text_given(text: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_reference(text)
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"--reference {text!r}: ")
    assert told in mistake


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        parse_reference("best: acuracy=0.9, loss=-1, f1_macro=0.5")
    assert len(caught.value.mistakes) == 2


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_reference(text)
    except UserError:
        return
    assert found.val


@given(st.floats(0, 1))
def test_scores_up_to_one_are_kept_to_the_bit(value: float) -> None:
    assert parse_reference(f"model: f2_weighted={value!r}").val == {"f2_weighted": value}


def test_names_of_trials_and_names_given_twice_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        parse_references(["t0001: accuracy=0.5", "mine: accuracy=0.5", "mine: accuracy=0.6", "t0001-r2: loss=1"])
    first, second, third = caught.value.mistakes
    assert "'t0001' is what a trial is called" in first
    assert "'mine' is given twice; keep one" in second
    assert "'t0001-r2'" in third
    assert [one.name for one in parse_references(["a: loss=1", "b: loss=2"])] == ["a", "b"]
