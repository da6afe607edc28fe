from __future__ import annotations

import ast
import functools
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tuner
from tuner.report.page.texts import TEXTS as PAGE
from tuner.wording import russian
from tuner.wording.language import LANGUAGES, Language, Noun, placeholders, wording
from tuner.wording.russian import comparison, conclusions, journal, leaderboard

SOURCES = sorted(Path(tuner.__file__).parent.rglob("*.py"))
COUNTS = st.integers(min_value=0, max_value=10**6)


@functools.cache
def calls() -> tuple[ast.Call, ...]:
    """Where a text is said, or marked to be said later."""
    nodes = (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return tuple(node for node in nodes if isinstance(node, ast.Call) and node.args and _says(node.func))


def _says(function: ast.expr) -> bool:
    if isinstance(function, ast.Call):
        return _says(function.func)
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("say", "marked", "wording")


@functools.cache
def said() -> dict[str, set[str]]:
    """Text -> the names of the values that it is given wherever it is said."""
    found: dict[str, set[str]] = {}
    for call in calls():
        text = call.args[0]
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value not in LANGUAGES:
            found.setdefault(text.value, set()).update(keyword.arg or "**" for keyword in call.keywords)
    return found


def test_every_text_that_is_said_has_a_russian_one_and_none_is_left_over() -> None:
    assert said().keys() == russian.TEXTS.keys()
    tables = [*leaderboard.TEXTS, *conclusions.TEXTS, *journal.TEXTS, *comparison.TEXTS]
    assert [text for text, times in Counter(tables).items() if times > 1] == []


def test_texts_that_are_built_as_they_are_said_would_escape_the_tables() -> None:
    built = [ast.unparse(call) for call in calls() if isinstance(call.args[0], ast.JoinedStr | ast.BinOp | ast.IfExp)]
    assert built == []


def test_a_text_has_the_same_values_in_both_languages() -> None:
    for text, in_russian in russian.TEXTS.items():
        named = placeholders(text)
        assert placeholders(in_russian) == named
        assert (forms(text) <= {2}, forms(in_russian) <= {3}) == (True, True), text
        values = said()[text]
        assert not values or "**" in values or values == set(named) - {"noun"}  # none: given where it is said later


def forms(text: str) -> set[int]:
    """How many forms the words have that go by a number."""
    return {len(spec.split("|")) for *_, spec, _ in string.Formatter().parse(text) if spec and "|" in spec}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_every_text_in_every_language(language: Language) -> None:
    english, texts = PAGE["en"], PAGE[language]
    assert texts.keys() == english.keys()
    assert texts["language"] == language
    assert {key: placeholders(text) for key, text in texts.items()} == {
        key: placeholders(text) for key, text in english.items()
    }


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "0 испытаний"),
        (1, "1 испытание"),
        (2, "2 испытания"),
        (4, "4 испытания"),
        (5, "5 испытаний"),
        (11, "11 испытаний"),
        (12, "12 испытаний"),
        (14, "14 испытаний"),
        (21, "21 испытание"),
        (22, "22 испытания"),
        (25, "25 испытаний"),
        (111, "111 испытаний"),
        (112, "112 испытаний"),
        (121, "121 испытание"),
        (1.5, "1.5 испытания"),
    ],
)
def test_a_noun_goes_by_its_number(number: float, told: str) -> None:
    say = wording("ru")
    assert say("{count} {noun:{count}}", count=number, noun=Noun("trial")) == told
    assert say("{n} {n:испытание|испытания|испытаний}", n=number) == told


@given(COUNTS)
def test_a_form_goes_by_the_last_two_digits(number: int) -> None:
    assert russian.form(number) == russian.form(number % 100)
    if number % 100 not in range(10, 20):
        assert russian.form(number) == russian.form(number % 10)
    else:
        assert russian.form(number) == russian.form(5)


@given(COUNTS)
def test_english_has_one_and_many(number: int) -> None:
    told = wording("en")("{n} {n:trial|trials}, {n} {noun:{n}}", n=number, noun=Noun("row"))
    assert told == ("1 trial, 1 row" if number == 1 else f"{number} trials, {number} rows")


@given(number=COUNTS, language=st.sampled_from(LANGUAGES), noun=st.sampled_from(sorted(russian.NOUNS)))
def test_every_text_can_be_said_of_any_number(number: int, language: Language, noun: str) -> None:
    for text in russian.TEXTS:
        values = dict.fromkeys(placeholders(text), number) | {"noun": Noun(noun)}
        assert "{" not in wording(language)(text, **values)


@given(st.text())
def test_what_stands_in_a_text_is_left_as_it_is(label: str) -> None:
    for language in LANGUAGES:
        assert wording(language)("Equal: {fields}.", fields=label).endswith(f": {label}.")


def test_a_text_that_is_not_in_the_tables_stays_english() -> None:
    assert wording("ru")("{count} of a kind", count=3) == "3 of a kind"
