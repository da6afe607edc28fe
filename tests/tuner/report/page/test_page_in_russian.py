from __future__ import annotations

import re

from parsed_html import HOSTILE, by_id, parsed
from told_page import SPACE, ToldSearch

from tuner.evidence.gathering import gather
from tuner.report.best import best_yaml
from tuner.report.page.writing import page_html

NAMES = set(
    """
    Backbone CUDA F1 RGB Thaw UTC ab accuracy all backbone best cat cleanlab complete cpu csv data data_seed e-1
    e-2 e-3 e-4 e-5 early_stopped failed freeze git hash head html https images install kind labels lim lite0
    lite1 loss lr max median min none optimizer pareto pip pos_weight precision pruned quick random rank recall
    repeats row running sampler schedule scheduler seconds seed sha256 space splits status stopped test test_reads
    thaw-tuner told torch train trial trials tuner val verify versions yaml
    onerro png
    """.split()  # noqa: SIM905
)


def html_in_russian(told: ToldSearch) -> str:
    record = told.store.record().told_in("ru")
    return page_html(told.store, record, gather(told.store, record))


def test_the_page_is_in_russian(told: ToldSearch) -> None:
    page = parsed(html_in_russian(told))
    (html,) = page.all("html")
    assert html.attributes["lang"] == "ru"
    assert by_id(page, "learning").all("h2")[0].text == "Кривые обучения"
    assert "Первое место делят" in by_id(page, "leaderboard").text


def test_no_english_sentence_is_left(told: ToldSearch) -> None:
    record = told.store.record()
    assert record.best
    known = NAMES | words(f"{HOSTILE} {SPACE} {best_yaml(record, record.best)}")
    html = re.sub(r"(?s)<wbr>|<(style|script|pre|head)\b.*?</\1>", "", html_in_russian(told))
    read_out = re.findall(r'(?:aria-label|placeholder|data-none|data-text)="([^"]*)"', html)
    text = " ".join([*read_out, re.sub(r"<[^>]*>", " ", html)])
    assert words(re.sub(r"t\d{4}|(val|train)-\d+|&\w+;|\{\w+\}", " ", text)) - known == set()


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z][\w-]+", text))
