"""The page as a whole: what it says, that it asks for nothing, and that nobody's names act in it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from parsed_html import HOSTILE, Element, by_id, parsed
from told_page import ToldSearch

from tuner.evidence.gathering import gather
from tuner.evidence.suspected import SuspectedLabel, Suspicions, keep_suspicions
from tuner.links import Links
from tuner.report.leaderboard import rows
from tuner.report.page import rendering
from tuner.report.page.texts import ENGLISH
from tuner.report.page.thumbnails import MOST_CHARACTERS
from tuner.report.page.writing import page_html
from tuner.store import Store

SECTIONS = ("leaderboard", "learning", "parallel", "conclusions", "outcome", "data", "made")


@pytest.fixture
def page(told: ToldSearch) -> Element:
    return parsed(told.html())


def table_rows(page: Element) -> list[Element]:
    (body,) = by_id(page, "trials").all("tbody")
    return body.all("tr")


def test_all_parts_are_there_and_linked(page: Element) -> None:
    (nav,) = page.all("nav")
    assert [link.attributes["href"] for link in nav.all("a")] == [f"#{name}" for name in SECTIONS]
    assert [section.attributes["id"] for section in page.all("section")] == list(SECTIONS)
    for section in page.all("section"):
        assert section.all("h2")[0].text == ENGLISH[section.attributes["id"]]


def test_the_table_is_the_leaderboards(told: ToldSearch, page: Element) -> None:
    record = told.store.record()
    exact = rows(record, gather(told.store, record))
    shown = table_rows(page)
    assert [row.attributes["data-trial"] for row in shown] == [row["trial"] for row in exact]
    titles = [head.text for head in by_id(page, "trials").all("thead")[0].all("th")]
    at = titles.index("accuracy [95 %] (vs baseline)")
    cells = [[cell for cell in row.within if cell.tag in ("td", "th")] for row in shown]
    assert [row[at].attributes.get("data-sort", "") for row in cells] == [
        "" if row["objective"] is None else str(row["objective"]) for row in exact
    ]
    best = cells[0][at].text
    assert best.startswith("0.700 [")
    assert best.endswith("(+0.200)")
    assert {len(row) for row in cells} == {len(titles)}


def test_ties_intervals_and_the_baseline_are_drawn(page: Element) -> None:
    shown = {row.attributes["data-trial"]: row for row in table_rows(page)}
    assert "tied" in shown["t0002"].attributes["class"]
    assert shown["t0002"].all("th")[0].attributes.get("scope") == "row"
    paths = [path.attributes["class"] for path in shown["t0002"].all("path")]
    assert paths == ["place-1", "base", "bar", "dot"]
    assert [path.attributes["class"] for path in shown["t0004"].all("path")] == ["base", "dot"]
    assert shown["t0005"].all("path") == []


def test_the_same_search_gives_the_same_bytes(told: ToldSearch) -> None:
    assert told.html() == told.html()


def test_only_its_own_style_and_script_count(told: ToldSearch) -> None:
    page = parsed(told.html())
    policies = [meta.attributes["content"] for meta in page.all("meta") if "http-equiv" in meta.attributes]
    (style,), (script,) = page.all("style"), page.all("script")
    hashes = [base64.b64encode(hashlib.sha256(one.text.encode()).digest()).decode() for one in (style, script)]
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    ]
    for element in page.within:  # under this policy such attributes would be ignored
        assert not {name for name in element.attributes if name == "style" or name.startswith("on")}, element.tag


def test_nothing_is_asked_for_from_outside(page: Element) -> None:
    for element in page.within:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert element.attributes.get(name, "#").startswith(("#", "data:")), element
    for text in (one.text for tag in ("style", "script") for one in page.all(tag)):
        assert not re.search(r"url\(|@import|https?:|fetch|XMLHttp|import\(", text)


def test_names_are_texts_and_nothing_else(told: ToldSearch) -> None:
    told.store.append("note", text=HOSTILE, trial="t0001")
    told.end()
    page = parsed(
        told.html(conclusions=f"## Conclusions\n\n- {HOSTILE}\n\n[a](javascript:alert(1)) <script>alert(1)</script>\n")
    )
    assert {element.tag for element in page.within} & {"iframe", "object", "embed", "base", "form"} == set()
    assert len(page.all("script")) == 1
    assert all(image.attributes["src"].startswith("data:image/webp;base64,") for image in page.all("img"))
    assert all("onerror" not in element.attributes for element in page.within)
    for section in ("outcome", "data", "made"):
        assert HOSTILE in by_id(page, section).text, section
    assert "<script>alert(1)</script>" in by_id(page, "conclusions").text
    assert "CUDA <b>" in by_id(page, "leaderboard").text


def test_half_a_character_of_a_file_name_is_no_obstacle(told: ToldSearch) -> None:
    record = replace(told.store.record(), about="\udc80")
    assert "\\udc80" in page_html(told.store, record).encode("utf-8").decode()


def test_links_of_trackers_lead_out(told: ToldSearch) -> None:
    links = Links(
        "https://x.org/s", {"t0002": "https://x.org/?a=1&b=2"}, "https://x.org/{ids}", {"t0001": "1", "t0002": "2"}
    )
    record = replace(told.store.record(), links=links)
    page = parsed(page_html(told.store, record, gather(told.store, record)))
    found = by_id(page, "leaderboard").all("a")
    assert [(link.attributes["href"], link.text) for link in found] == [
        ("https://x.org/?a=1&b=2", "t0002"),
        ("https://x.org/s", "the search"),
        ("https://x.org/1,2", "the baseline beside the best"),
    ]
    assert {link.attributes["rel"] for link in found} == {"noopener noreferrer"}


def test_a_running_search_says_so_and_what_is_to_come(told: ToldSearch) -> None:
    running = parsed(told.html())
    assert ENGLISH["running"] not in running.text  # no process holds it
    with told.store.lock():
        assert ENGLISH["running"] in parsed(told.html()).text
    assert ENGLISH["no_conclusions"] in by_id(running, "conclusions").text
    told.end()
    ended = parsed(told.html(conclusions="## Conclusions\n\n- lr: +0.1.\n"))
    assert [item.text for item in by_id(ended, "conclusions").all("li")] == ["lr: +0.1."]
    assert len(by_id(ended, "conclusions").all("h2")) == 1


def test_a_search_of_which_nothing_is_known_has_a_page(tmp_path: Path) -> None:
    store = Store.create(tmp_path, "empty")
    store.append("search_started", name="empty", objective={"metric": "f1", "direction": "minimize"})
    page = parsed(page_html(store, store.record()))
    for text in ("none_finished", "no_learning", "no_parallel", "no_outcome", "no_data", "no_sizes"):
        assert ENGLISH[text] in page.text


def test_the_first_rows_and_the_baseline_are_enough_on_request(told: ToldSearch) -> None:
    page = parsed(told.html(top=1))
    assert [row.attributes["data-trial"] for row in table_rows(page)] == ["t0002", "t0001"]
    assert "2 of 5" in by_id(page, "leaderboard").text


def test_how_it_was_made(page: Element) -> None:
    made = by_id(page, "made")
    texts = [pre.text for pre in made.all("pre")]
    assert texts[0] == "tuner search 'a <space>' --data x"
    assert texts[1].startswith("# <b>ours</b>\naxes:")
    assert "trial: t0002" in texts[2]
    assert "0123456789abcdef" * 4 in made.text
    assert "torch 2.9.0" in made.text


def test_the_most_confident_mistakes_are_shown_with_their_images(told: ToldSearch) -> None:
    outcome = by_id(parsed(told.html()), "outcome")
    assert [head.text for head in outcome.all("h3")] == [ENGLISH["said"], ENGLISH["missed"]]
    said, missed = (part for part in outcome.all("ul") if part.attributes["class"] == "pictures")
    assert [image.attributes["alt"] for image in said.all("img")] == [f"val-{number}.png" for number in range(14, 20)]
    first = said.all("figcaption")[0].all("span")
    assert first[0].text == f"says {HOSTILE} {1 / (1 + np.exp(-(4 - 3 * 14 / 19))):.3f}"
    assert first[1].text == "has cat"
    assert missed.all("figcaption")[0].all("b")[0].text == "cat"


def test_a_class_taken_for_another_is_told_with_both(tmp_path: Path) -> None:
    outcome = by_id(parsed(ToldSearch(tmp_path, "multiclass").html()), "outcome")
    assert [head.text for head in outcome.all("h3")] == [ENGLISH["confused"]]
    pairs = [[cell.text for cell in row.within if cell.tag in ("td", "th")] for row in outcome.all("tr")[1:]]
    assert pairs == [["cat", HOSTILE, "6", "30 %"]]


def test_pictures_have_a_bound_together(told: ToldSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(len(image.attributes["src"]) for image in parsed(told.html()).all("img")) < MOST_CHARACTERS
    monkeypatch.setattr("tuner.report.page.thumbnails.MOST_CHARACTERS", 1000)
    few = parsed(told.html())
    assert 0 < sum(len(image.attributes["src"]) for image in few.all("img")) < 3000  # some are shown twice
    assert ENGLISH["no_picture"] in by_id(few, "data").text


def test_images_that_are_not_here_are_named(told: ToldSearch) -> None:
    for image in told.root.glob("*.png"):
        image.unlink()
    page = parsed(told.html())
    assert page.all("img") == []
    assert ENGLISH["no_picture"] in by_id(page, "outcome").text
    assert "val-14.png" in by_id(page, "outcome").text


def test_the_data_are_counted_by_the_stored_split(page: Element) -> None:
    data = by_id(page, "data")
    balance, together = data.all("table")
    counts = [[cell.text for cell in row.within if cell.tag in ("td", "th")] for row in balance.all("tr")]
    assert counts == [
        ["label", "", "all", "train", "val"],
        ["images", "", "40", "20", "20"],
        ["cat", "", "30", "15", "15"],
        [HOSTILE, "", "20", "10", "10"],
    ]
    assert [[cell.text for cell in row.all("td")] for row in together.all("tr")[1:]] == [["30", "10"], ["10", "20"]]
    assert "train-03.png, val-03.png" in data.text
    assert ENGLISH["twins_across"] in data.text
    assert "30 x 30" in data.text


def test_suspected_labels_are_shown_with_their_images(told: ToldSearch) -> None:
    assert ENGLISH["not_suspected"] in by_id(parsed(told.html()), "data").text
    keep_suspicions(told.store, Suspicions(("t0002",), 0, 20, ()))
    assert "None was found on 20 images that t0002 were" in by_id(parsed(told.html()), "data").text
    labels = [
        SuspectedLabel("val-01.png", "cat", HOSTILE, 0.0123),
        SuspectedLabel("val-02.png", "cat", None, 0.2),
        SuspectedLabel("val-03.png", None, "no", 0.3),
        *(SuspectedLabel(f"val-{number:02}.png", "no", "cat", 0.4) for number in range(4, 20)),
    ]
    keep_suspicions(told.store, Suspicions(("t0002", "t0003"), 0, 20, tuple(labels)))
    data = by_id(parsed(told.html()), "data")
    assert "Labels that t0002, t0003 doubt: 19, on 20 images" in data.text
    (pictures,) = (part for part in data.all("ul") if part.attributes.get("class") == "pictures")
    assert len(pictures.all("img")) == 12
    told_of = [[part.text for part in caption.all("span")] for caption in pictures.all("figcaption")[:3]]
    assert told_of == [
        ["labelled cat 0.012", f"rather {HOSTILE}", "val-01.png"],
        ["labelled cat 0.200", "rather without it", "val-02.png"],
        ["not labelled no 0.300", "rather with it", "val-03.png"],
    ]


def test_every_text_is_used_and_there() -> None:
    folder = Path(rendering.__file__).parent / "templates"
    templates = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.html"))
    named = set(re.findall(r"\bt\.(\w+)", templates)) - {"items"}
    dynamic = {*SECTIONS, "test", "validation", "said", "missed", "confused", "table"}
    assert named | dynamic == ENGLISH.keys()
