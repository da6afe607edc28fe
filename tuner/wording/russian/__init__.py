"""Russian: what reports say, by the English text that stands where it is said."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.wording.russian import comparison, conclusions, journal, leaderboard

TEXTS: Mapping[str, str] = {**leaderboard.TEXTS, **conclusions.TEXTS, **journal.TEXTS, **comparison.TEXTS}

NOUNS: Mapping[str, Mapping[str, str]] = {
    "trial": {
        "one": "испытание",
        "few": "испытания",
        "many": "испытаний",
        "prepositional": "испытаниях",
    },
    "row": {"one": "строка", "few": "строки", "many": "строк", "prepositional": "строках"},
    "run": {"one": "запуск", "few": "запуска", "many": "запусков", "prepositional": "запусках"},
}
"""the first three by `form`; the last one stands after `в`, of several"""


def form(number: float) -> int:
    """Which of the three forms a noun has after a number: 1 испытание, 2 испытания, 5 испытаний; 1.5 испытания.

    As Unicode's plural rules (CLDR) have it for Russian.
    """
    if number % 1:
        return 1
    ones, tens = abs(number) % 10, abs(number) % 100
    if ones == 1 and tens != 11:
        return 0
    return 1 if 2 <= ones <= 4 and not 12 <= tens <= 14 else 2
