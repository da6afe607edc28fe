"""Labels that are probably one, spelt in two ways."""

from __future__ import annotations

import pytest

from trainable.data.label_names import misspelt, spelt_alike


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dog", "Dog"),
        ("hot dog", "hot_dog"),
        ("t-shirt", "T Shirt"),
        ("hot dog", "hot  dog"),
        ("café", "cafe\u0301"),
        ("cat", "cat_"),
    ],
)
def test_separators_case_and_encoding_make_no_other_label(one: str, other: str) -> None:
    assert spelt_alike(["bird", one, other]) == [(one, other)]


@pytest.mark.parametrize(("one", "other"), [("C", "C++"), ("1-2", "12"), ("-1", "1"), ("3.5", "35"), ("a1", "a2")])
def test_digits_and_signs_do(one: str, other: str) -> None:
    assert spelt_alike([one, other]) == []
    assert list(misspelt({one: 1, other: 50})) == []


@pytest.mark.parametrize("slip", ["elepahnt", "elephnt", "elephhant", "eliphant", "elephants"])
def test_a_rare_name_one_slip_from_a_frequent_one(slip: str) -> None:
    assert list(misspelt({"elephant": 40, slip: 2, "giraffe": 30})) == [(slip, "elephant")]


def test_a_slip_in_a_short_name_is_very_rare() -> None:
    assert list(misspelt({"town": 40, "ton": 2, "ox": 40, "o": 1})) == [("ton", "town")]
    assert list(misspelt({"town": 40, "ton": 3})) == []


def test_short_or_equally_frequent_names_are_words_of_their_own() -> None:
    assert list(misspelt({"boat": 1, "goat": 40, "hammer": 2, "hamper": 40, "candle": 30, "candles ": 0})) == [
        ("candles ", "candle")
    ]
    assert list(misspelt({"marten": 30, "martens": 25, "martin": 30})) == [("martens", "marten")]
    assert list(misspelt({"clothing": 30, "clothings": 0, "clotting": 30})) == [("clothings", "clothing")]
