from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trainable.errors import UserError, nearest


def test_every_mistake_has_a_line() -> None:
    error = UserError("a: one", "b: two")
    assert error.mistakes == ("a: one", "b: two")
    assert str(error) == "a: one\nb: two"
    assert isinstance(error, ValueError)


def test_the_nearest_name_is_offered() -> None:
    assert nearest("resnet81", ["resnet50", "resnet18", "lite0"]) == "; did you mean 'resnet18'?"
    assert nearest("banana", ["resnet18", "lite0"]) == ""
    assert nearest("x", []) == ""


@given(st.sets(st.text(min_size=1), min_size=1))
def test_a_valid_name_is_nearest_to_itself(names: set[str]) -> None:
    for name in names:
        assert nearest(name, names) == f"; did you mean {name!r}?"
