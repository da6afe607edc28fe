"""The page in Chromium: nothing is asked for, all of it works by keyboard, and it can be read on every screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_browsers import LOW_CONTRAST, NAMELESS, Opened, launched, opened_window
from told_page import ToldSearch

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    told = ToldSearch(folder)
    told.store.append("note", text="a note", trial="t0002")
    file = folder / "report.html"
    file.write_text(told.html(conclusions="## Conclusions\n\n- `lr`: +0.1.\n"), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """By `indirect`, options of the window."""
    with opened_window(browser, **getattr(request, "param", {})) as found:
        found.page.goto(report.as_uri())
        yield found


def trials(opened: Opened) -> list[str]:
    """Of the rows that are seen, from above."""
    found: list[str] = opened.page.locator("#trials tbody tr:visible").evaluate_all(
        "rows => rows.map(row => row.dataset.trial)"
    )
    return found


def test_it_says_nothing_and_asks_for_nothing(opened: Opened, report: Path) -> None:
    opened.page.locator("footer").scroll_into_view_if_needed()
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [report.as_uri()]
    broken = "images => images.filter(image => !image.complete || !image.naturalWidth).length"
    assert opened.page.locator("img").evaluate_all(broken) == 0


def test_what_is_put_into_it_can_neither_run_nor_ask(opened: Opened) -> None:
    put = """() => new Promise((resolve) => {
        const blocked = [];
        document.addEventListener("securitypolicyviolation", (event) => {
            blocked.push(event.effectiveDirective);
            if (blocked.length === 3) resolve(blocked.sort());
        });
        const add = (tag, fields) => document.body.append(Object.assign(document.createElement(tag), fields));
        add("img", { src: "http://127.0.0.1:9/x.png" });
        add("script", { textContent: "window.ran = true" });
        add("style", { textContent: "body { display: none }" });
    })"""
    assert opened.page.evaluate(put) == ["img-src", "script-src-elem", "style-src-elem"]
    assert opened.page.evaluate("window.ran") is None
    assert opened.page.locator("h1").is_visible()


def test_the_table_is_sorted_by_keyboard(opened: Opened) -> None:
    page = opened.page
    ranked = trials(opened)
    assert ranked == ["t0002", "t0003", "t0001", "t0004", "t0005"]
    rate = page.locator("#trials thead th", has_text="lr").first
    for keys, order, wanted in (
        ("Enter", "ascending", ["t0005", "t0004", "t0003", "t0002", "t0001"]),
        ("Space", "descending", ["t0001", "t0002", "t0003", "t0004", "t0005"]),
        ("Enter", "none", ranked),
    ):
        rate.locator("button").focus()
        page.keyboard.press(keys)
        assert rate.get_attribute("aria-sort") == order
        assert trials(opened) == wanted
    objective = page.locator("#trials thead th", has_text="vs baseline")
    objective.locator("button").press("Enter")
    assert trials(opened) == ["t0004", "t0001", "t0003", "t0002", "t0005"]  # without a value: last


def test_rows_are_found_by_words_and_by_status(opened: Opened) -> None:
    page = opened.page
    page.get_by_label("Find").fill("lite1 complete")
    assert trials(opened) == ["t0001"]
    assert page.locator("#shown").text_content() == "Rows shown: 1 of 5"
    page.get_by_label("Find").fill("")
    page.get_by_label("Status").select_option("pruned")
    assert trials(opened) == ["t0004"]
    page.get_by_label("Status").select_option("")
    page.get_by_label("Backbone").select_option("lite0")
    assert trials(opened) == ["t0002", "t0004"]


def test_a_line_that_leaves_the_frame_is_cut_off_there(browser: Any, tmp_path: Path) -> None:
    told, file = ToldSearch(tmp_path), tmp_path / "report.html"
    told.log_trial(6, (-20.0, 0.6), "complete")
    file.write_text(told.html(), encoding="utf-8")
    with opened_window(browser) as found:
        found.page.goto(file.as_uri())
        seen_at = """at => {
            const line = document.querySelector('#learning .strokes g[data-trial="t0006"] path');
            window.scrollBy(0, line.getBoundingClientRect().top - 50);
            const [box, frame] = [line, line.closest(".frame")].map(one => one.getBoundingClientRect());
            const middle = at === "inside" ? frame.top + frame.height / 2 : frame.bottom + 40;
            return [...Array(20).keys()].some((step) => {  // between dashes there is nothing
                const y = middle + step;
                const x = box.left + box.width * (box.bottom - y) / box.height;
                return document.elementsFromPoint(x, y).includes(line);
            });
        }"""
        assert found.page.evaluate(seen_at, "inside")
        assert not found.page.evaluate(seen_at, "outside")


def test_a_trial_is_highlighted_in_all_of_the_page(opened: Opened) -> None:
    page = opened.page

    def lit() -> list[str]:
        return page.locator(".strokes g.lit, #trials tr.lit").evaluate_all("all => all.map(one => one.dataset.trial)")

    learning = page.locator("#learning")
    learning.scroll_into_view_if_needed()
    frame = learning.locator(".strokes").bounding_box()
    assert frame
    page.mouse.move(frame["x"] + frame["width"], frame["y"] + 20)  # the end of the best one
    assert lit() == ["t0002"] * 3
    assert learning.locator(".told").text_content() == "t0002: lite0, freeze all (9/9); 0.700 at epoch 2, complete"
    page.mouse.move(0, 0)
    assert lit() == []
    learning.get_by_label("Highlight a trial").focus()
    page.keyboard.press("End")  # of the choices
    assert lit() == ["t0004"] * 3
    page.keyboard.press("Escape")
    assert lit() == []
    key = page.locator("#parallel button.key").first
    key.press("Enter")
    assert key.get_attribute("aria-pressed") == "true"
    assert lit() == ["t0002"] * 3


@pytest.mark.parametrize("opened", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_texts_can_be_told_from_their_ground(opened: Opened) -> None:
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.page.locator("#learning .choose").select_option("t0002")
    assert opened.page.evaluate(LOW_CONTRAST) == []


@pytest.mark.parametrize("opened", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_a_phone_need_not_be_moved_sideways(opened: Opened) -> None:
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.page.locator("#trials thead th", has_text="vs baseline").is_visible()


def test_whatever_can_be_reached_by_keyboard_has_a_name(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the leaderboard"
    assert page.locator("a, button, input, select, summary, [tabindex]").evaluate_all(NAMELESS) == []
    scrolled = """all => all.filter((one) => one.scrollWidth > one.clientWidth + 1 && one.tabIndex < 0).length"""
    assert page.locator(".scroll, pre").evaluate_all(scrolled) == 0


def test_on_paper_all_is_open_and_nothing_is_to_be_pressed(opened: Opened) -> None:
    page = opened.page
    assert len(page.pdf()) > 0
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("details:not([open])").count() == 0
    assert page.locator("nav:visible, .controls:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], indirect=True)
def test_without_its_script_the_page_is_whole(opened: Opened) -> None:
    assert opened.page.locator("#trials tbody tr:visible").count() == 5
    assert opened.page.locator(".strokes:visible").count() == 2
    assert opened.page.locator(".strokes g").count() == 8
    assert opened.page.locator(".controls:visible, #trials button").count() == 0
