"""A real server, a real small search and a browser: from the form to the finished leaderboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_browsers import launched, opened_window, sync_api
from small_servers import DATA, SmallServer, small_server, space_yaml

pytestmark = pytest.mark.real

SLOW = 240_000
"""milliseconds that a browser waits, at most"""


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with small_server() as made:
        yield made


def test_a_search_is_begun_in_the_form_and_watched_to_its_end(server: SmallServer) -> None:
    with launched() as browser, opened_window(browser) as opened:
        page, expect = opened.page, sync_api.expect
        page.goto(f"{server.url}/searches/new?data={DATA}")
        page.get_by_label("Which settings to try").select_option("own")
        page.get_by_label("Your space").fill(space_yaml())
        page.get_by_label("Name").fill("begun")
        page.get_by_label("Trials").fill("2")
        page.get_by_role("button", name="Start").click()
        expect(page).to_have_url(f"{server.url}/searches/begun", timeout=SLOW)
        expect(page.locator("#search-facts .badge")).to_have_text("complete", timeout=SLOW)
        expect(page.locator("#row-t0001")).to_contain_text("complete")
        expect(page.locator("#row-t0002")).to_contain_text("complete")
        expect(page.locator("#curves canvas")).to_be_visible()
        expect(page.get_by_role("link", name="best.yaml")).to_be_visible(timeout=SLOW)
        expect(page.locator("#log-text")).to_contain_text("t0002", timeout=SLOW)
        expect(page.get_by_role("button", name="Extend")).to_be_visible()
        assert opened.said == []
