from __future__ import annotations

import warnings
from itertools import pairwise

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.report.plots import style


def test_the_users_style_is_theirs_again_afterwards() -> None:
    before = dict(matplotlib.rcParams)
    with style.styled():
        assert matplotlib.rcParams["axes.spines.top"] is False
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("plain", "plain"),
        ("a\n\tb", "a b"),
        ("costs $5 or $6", r"costs \$5 or \$6"),
        ("\U000f0000", "\N{WHITE SQUARE}"),
        ("a" * 40, "a" * 20 + "…" + "a" * 11),
        ("", ""),
    ],
)
def test_names_are_drawn_as_they_are(text: str, drawn: str) -> None:
    assert style.plain(text) == drawn


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_any_name_can_be_drawn_without_a_warning(name: str) -> None:
    with style.styled(), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = style.new_figure(1, 2)
        figure.text(0, 0, style.plain(name))
        style.png(figure)


positions = st.lists(st.floats(0, 1), max_size=8)


@given(positions, st.floats(0.001, 0.1))
def test_spread_keeps_order_and_distance(wanted: list[float], gap: float) -> None:
    placed = style.spread(wanted, gap)
    assert all(-1e-9 <= at <= 1 + 1e-9 for at in placed)
    inorder = [placed[at] for at in sorted(range(len(wanted)), key=lambda at: wanted[at])]
    assert all(later - earlier >= gap - 1e-9 for earlier, later in pairwise(inorder))


def test_spread_leaves_alone_what_does_not_overlap() -> None:
    assert style.spread([0.9, 0.1, 0.5], 0.1) == pytest.approx([0.9, 0.1, 0.5])
    assert style.spread([0.5, 0.5], 0.2) == pytest.approx([0.4, 0.6])
    assert style.spread([1.0, 1.0], 0.2) == pytest.approx([0.8, 1.0])


@pytest.mark.parametrize(
    ("low", "high", "log", "names"),
    [
        (1e-5, 1e-2, True, ["1e-5", "1e-4", "1e-3", "0.01"]),
        (64, 512, True, ["100", "200", "500"]),
        (0, 1, False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.3111, 0.3112, False, ["0.3111", "0.31112", "0.31114", "0.31116", "0.31118", "0.3112"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, log: bool, names: list[str]) -> None:
    assert [name for _, name in style.ticks(low, high, log)] == names
