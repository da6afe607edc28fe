"""Pages rendered: nobody's names act in them, they stay small, and nothing in them needs an exception to the policy."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_logs import begin, end, trial
from parsed_html import HOSTILE, by_id, parsed

from tuner.evidence.gathering import Evidence
from tuner.records import Reference, SearchRecord
from tuner.service.page import rendering
from tuner.service.page.problems import problem_page
from tuner.service.page.rendering import render
from tuner.service.page.texts import ENGLISH
from tuner.service.page.views.board import ROWS, Wanted
from tuner.service.page.views.data import data_set
from tuner.service.page.views.known import Known, SearchList, Viewer
from tuner.service.page.views.search import SearchPage, full_table, search_page
from tuner.service.watching.reading import Progress
from tuner.store import Store

ADA = Viewer("ada", may_submit=True, is_logged_in=True)
ALL = Wanted()
FILES = {"report_html", "best_yaml", "leaderboard_md", "leaderboard_csv"}
"""texts of a search's files"""
KNOWN = Known("told", "running", "2026-03-01T12:00:00Z", owner="ada", space="quick", data="cats")


def page_of(record: SearchRecord, known: Known = KNOWN, wanted: Wanted = ALL, **told: Any) -> SearchPage:
    evidence = Evidence(ranks=record.ranks())
    return search_page(known, record, evidence, full_table(record, evidence), wanted, **told)


def rendered(known: Known, told: SearchPage, viewer: Viewer = ADA) -> str:
    return render("search.html", known=known, page=told, viewer=viewer, here="")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path, "told")
    begin(store)
    return store


def assert_obeys_the_policy(html: str) -> None:
    page = parsed(html.removeprefix("<!doctype html>").lstrip())
    for element in page.within:
        attributes = element.attributes
        assert not {name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))}, element
        assert not any(value.startswith(("js:", "javascript:")) for value in attributes.values()), element
        assert element.tag not in ("style", "iframe", "object", "embed"), element
        assert "src" in attributes or element.tag != "script", "a script within the page"
        assert "[" not in attributes.get("hx-trigger", ""), "a filter is evaluated as a script"
        for name in ("src", "href", "action", "hx-get", "hx-post", "hx-sse:connect"):
            assert attributes.get(name, "/").startswith(("/", "#")), element


def test_a_search_with_hostile_names_is_shown_as_it_is(store: Store) -> None:
    trial(store, 1, 0.3, baseline=True, backbone=HOSTILE)
    trial(store, 2, 0.5, status="failed")
    record = replace(store.record(), about=HOSTILE, references=(Reference(HOSTILE, val={"f2": 0.1}),), reason="a|b")
    known = replace(KNOWN, reason=HOSTILE, owner=HOSTILE, data=HOSTILE, space=HOSTILE, state="failed")
    html = rendered(known, page_of(record, known, conclusions=f"- {HOSTILE}", log=HOSTILE))
    assert_obeys_the_policy(html)
    page = parsed(html.removeprefix("<!doctype html>").lstrip())
    assert len(page.all("img")) == 1  # the icon
    for id in ("search-facts", "trials", "log-text", "conclusions", "search-legend"):
        assert HOSTILE.removesuffix("&amp;") in by_id(page, id).text, id  # which Markdown reads as an ampersand


def test_every_page_obeys_the_policy(store: Store) -> None:
    trial(store, 1, 0.3, baseline=True)
    hostile = replace(KNOWN, owner=HOSTILE, reason=HOSTILE)
    for html in (
        rendered(KNOWN, page_of(store.record())),
        render("searches.html", list=SearchList((KNOWN, hostile)), viewer=ADA, here="searches"),
        render("searches.html", list=SearchList(()), viewer=ADA, here="searches"),
        render("login.html", next=HOSTILE, is_wrong=True, viewer=None, here=""),
        problem_page(404, [HOSTILE]),
        problem_page(500),
    ):
        assert_obeys_the_policy(html)


def test_a_thousand_trials_are_a_small_page(store: Store) -> None:
    trial(store, 1, 0.3, 0.4, 0.5)
    begun = store.record()
    trials = tuple(replace(begun.trials[0], id=f"t{number:04}", number=number - 1) for number in range(1, 1001))
    record = replace(begun, trials=trials)
    html = rendered(KNOWN, page_of(record))
    assert len(html.encode()) < 100_000
    assert html.count('<tr id="row-') == ROWS
    assert len(rendered(KNOWN, page_of(record, wanted=Wanted(rows=230))).encode()) < 300_000


def test_who_may_only_look_is_offered_nothing_else(store: Store) -> None:
    trial(store, 1, 0.3)
    for viewer, may in ((ADA, True), (Viewer("bob", True), False), (Viewer("bob", True, is_admin=True), True)):
        html = rendered(KNOWN, page_of(store.record()), viewer)
        assert ('id="stop-button"' in html) == may, viewer
        assert ("<dialog" in html) == may, viewer
    assert "/searches/new" not in rendered(KNOWN, page_of(store.record()), Viewer("eve", may_submit=False))


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        ("queued", {"stop", "delete"}),
        ("running", {"stop"}),
        ("stopped", {"resume", "extend", "delete"}),
        ("complete", {"extend", "delete"}),
        ("deleted", {"restore"}),
    ],
)
def test_only_what_can_be_asked_for_now_has_a_button(store: Store, state: Any, verbs: set[str]) -> None:
    known = replace(KNOWN, state=state)
    html = rendered(known, page_of(store.record(), known))
    assert set(re.findall(r'id="(\w+)-button" data-opens', html)) == verbs


def test_a_search_that_has_told_nothing_says_what_it_waits_for() -> None:
    known = replace(KNOWN, state="queued", place=2)
    html = rendered(known, page_of(SearchRecord(name="told"), known))
    assert ENGLISH["no_trials_queued"] in html
    assert ENGLISH["no_rungs_yet"] in html
    assert ENGLISH["no_learning"] in html
    assert "2nd in line" in html


def test_a_search_that_ended_without_a_trial_has_no_bar_and_no_time(store: Store) -> None:
    end(store, "failed")
    progress = Progress(0, 6, 0, "f2", None, None, elapsed_seconds=0.0, seconds_left=None)
    known = replace(KNOWN, state="failed", progress=progress)
    html = rendered(known, page_of(store.record(), known))
    assert "0 of 6 trials" in html
    assert "<progress" not in html
    assert "took" not in html


def test_conclusions_and_files_appear_as_they_come(store: Store) -> None:
    trial(store, 1, 0.3)
    end(store)
    page = page_of(store.record(), conclusions="- lr: +0.1.", files=(("report_html", "/v1/searches/told/report.html"),))
    html = render("search_live.html", known=replace(KNOWN, state="complete"), page=page, viewer=ADA)
    assert "<li>lr: +0.1.</li>" in html
    assert ">Report</a>" in html
    targets = re.findall(r'<hx-partial hx-target="#([\w-]+)"', html)
    whole = rendered(KNOWN, page)
    assert all(f'id="{target}"' in whole for target in (*targets, "board"))


def test_what_an_inspection_told_is_read_tolerantly() -> None:
    told = {"images": 3, "balance": {HOSTILE: {"train": 2}, "cat": {"train": 1}}, "split_sizes": {"train": 3, "val": 0}}
    found = data_set("cats", "ready", told | {"problems": [{"row": "a.png", "message": "is black"}, None]})
    assert [(row.label, row.images, row.percent_of_most) for row in found.balance] == [
        (HOSTILE, 2, 100.0),
        ("cat", 1, 50.0),
    ]
    assert found.problems == ("a.png: is black",)
    assert data_set("cats", "inspecting", {}).images is None
    assert data_set("cats", "ready", {"sizes": {"min": [8, 9], "max": [8, 9]}}).sizes == {"": "8 x 9"}
    assert data_set("cats", "ready", {"sizes": {"min": [8, 9], "max": [9, 9]}}).sizes["max"] == "9 x 9"


def test_half_a_character_is_no_obstacle(store: Store) -> None:
    rendered(KNOWN, page_of(store.record(), log="\udc80")).encode()


def test_every_text_is_used_and_there() -> None:
    folder = Path(rendering.__file__).parent
    templates = "".join(path.read_text(encoding="utf-8") for path in folder.glob("templates/*.html"))
    named = set(re.findall(r"\bt\.(\w+)", templates))
    quoted = set(re.findall(r'"(\w+)"', templates))
    code = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py") if path.name != "texts.py")
    quoted |= set(re.findall(r'"(\w+)"', code)) | FILES
    unused = {name for name in ENGLISH.keys() - named - quoted if not name.startswith("problem_")}
    assert named <= ENGLISH.keys()
    assert not unused
    assert not [name for name in ENGLISH if hasattr(dict, name)], "a template would get the method"
