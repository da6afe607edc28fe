"""What a report is written in, and how a sentence is said in it.

Names of fields, metrics, trials, statuses, commands and files are identifiers, the same in every language, and numbers
keep their decimal point: what is in a table can be pasted anywhere.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tuner.wording import russian

Language = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


def marked(text: str) -> str:
    """The text itself, which `say` is given later: marked, so that a test sees whether every language has it."""
    return text


@dataclass(frozen=True)
class Noun:
    """What is counted, where that differs; a text takes its form: `{n} {noun:{n}}`, `groups of {noun:5}`."""

    name: str


class Wording(string.Formatter):
    """Says texts in one language.

    A text has its values by name, as `str.format`, and what depends on a number in all the forms that its language has:
    `{n} {n:trial|trials}`, `{n} {n:испытание|испытания|испытаний}`.
    """

    def __init__(
        self, texts: Mapping[str, str], form: Callable[[float], int], nouns: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._texts = texts
        self._form = form
        self._nouns = nouns

    def __call__(self, text: str, /, **values: object) -> str:
        """A text in this language; one that it lacks, in English."""
        return self.vformat(self._texts.get(text, text), (), values)

    def from_log(self, text: str) -> str:
        """A text that the log has, perhaps of someone's making: in this language where it is one that is marked."""
        return self._texts.get(text, text)

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Noun):
            return self._form_of(value, format_spec)
        if "|" in format_spec:
            return format_spec.split("|")[self._form(value)]
        return format(value, format_spec)

    def _form_of(self, noun: Noun, asked: str) -> str:
        """By a number, or a case by its name."""
        forms = self._nouns[noun.name]
        return forms[asked] if asked in forms else list(forms.values())[self._form(float(asked))]


def _english_form(number: float) -> int:
    return 0 if number == 1 else 1


_ENGLISH_NOUNS = {name: {"one": name, "other": f"{name}s"} for name in ("trial", "row", "run")}

ENGLISH = Wording({}, _english_form, _ENGLISH_NOUNS)
_WORDINGS: Mapping[Language, Wording] = {
    "en": ENGLISH,
    "ru": Wording(russian.TEXTS, russian.form, russian.NOUNS),
}


def wording(language: Language) -> Wording:
    """How a language says things."""
    return _WORDINGS[language]


def placeholders(text: str) -> Sequence[str]:
    """The names of the values that a text has a place for, each once, sorted."""
    found: set[str] = set()
    for _, name, spec, _ in string.Formatter().parse(text):
        found |= {name} if name else set()
        found |= set(placeholders(spec)) if spec and "|" not in spec else set()
    return sorted(found)
