"""The pages in Chromium, of a real server whose engine does nothing, while logs written by hand grow."""

from __future__ import annotations

import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from page_logs import begin, end, epoch, trial
from parsed_html import HOSTILE
from service_rows import NOON
from small_browsers import LOW_CONTRAST, NAMELESS, Opened, launched, opened_window, sync_api
from small_searches import write_class_folders
from small_service import FakeEngine
from sqlalchemy import select

from tuner.evidence.gathering import gather
from tuner.report.leaderboard import to_markdown
from tuner.service.access.accounts import LOCAL_USER, create_token, find_or_add_user
from tuner.service.api.app import make_app
from tuner.service.database.connection import Database, open_database
from tuner.service.database.rows import DataSetRow, SearchRow, State, TokenRow
from tuner.service.ids import new_id
from tuner.service.services import Health, Services, open_services
from tuner.service.settings import ServiceSettings
from tuner.service.submissions import proving
from tuner.store import Store

SKIPPED_LEVELS = """all => all.filter((one, at) => at && Number(one.tagName[1]) > Number(all[at - 1].tagName[1]) + 1)
    .map((one) => one.textContent)"""
pytestmark = pytest.mark.real
expect = sync_api.expect
expect.set_options(timeout=60_000)  # a busy machine is slow


@dataclass
class Running:
    """A server in a thread of its own, which can be stopped and begun again at the same address."""

    services: Services
    port: int = 0
    server: uvicorn.Server | None = None
    thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        services = open_services(self.services.settings, self.services.database, self.services.engine)
        config = uvicorn.Config(make_app(services), log_level="error", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listening],))
        self.thread.start()

    def stop(self) -> None:
        assert self.server is not None
        assert self.thread is not None
        self.server.should_exit = True
        self.thread.join()

    def search(self, name: str, state: State = "running") -> Store:
        """A new one, of which nothing is told yet; `me` owns it."""
        with self.services.database.session() as session:
            me = find_or_add_user(session, LOCAL_USER, NOON)
            row = SearchRow(id=new_id(), name=name, owner_id=me.id, submission={"space": "quick", "data": "cats"})
            row.submitted_at, row.desired_at, row.state_since = NOON, NOON, NOON
            row.desired, row.state = "run", state
            session.add(row)
        return Store.create(self.services.settings.results, name)

    def row(self, name: str) -> SearchRow:
        with self.services.database.reading() as session:
            return session.scalars(select(SearchRow).where(SearchRow.name == name)).one()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('database')}/service.db")
    database.migrate()
    with database.session() as session:
        me = find_or_add_user(session, LOCAL_USER, NOON)
        data = {"path": "/cats", "reading": {}, "state": "ready", "created_at": NOON, "told": {"images": 3}}
        session.add(DataSetRow(id=new_id(), name="cats", owner_id=me.id, **data))
    yield database
    database.close()


@pytest.fixture(scope="module")
def running(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "results").mkdir()
    settings = ServiceSettings(results=folder / "results", state=folder / "state", database_url="sqlite://")
    found = Running(open_services(settings, database, FakeEngine(told=Health(is_ready=True, cpus=2, gpus=1))))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def shown(running: Running) -> Store:
    """A search of some trials that does not change; one of them is named as if it were markup."""
    store = running.search("shown")
    begin(store, about=HOSTILE, scheduler={"kind": "asha", "grace_epochs": 1, "reduction_factor": 3})
    trial(store, 1, 0.3, 0.4, 0.45, baseline=True)
    trial(store, 2, 0.5, 0.6, 0.7, backbone="lite1")
    trial(store, 3, 0.2, status="pruned", rung=1)
    trial(store, 4, 0.4, 0.5, backbone=HOSTILE)
    end(store)
    return store


@pytest.fixture
def opened(browser: Any, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """By `indirect`, options of the window. Nothing may be said on its console."""
    with opened_window(browser, **getattr(request, "param", {})) as found:
        yield found
        assert found.said == []


def rows_named(page: Any) -> list[str]:
    """Likewise where no script may run in the page."""
    return [row.get_attribute("data-trial") for row in page.locator("#trials tbody tr").all()]


def rows(page: Any) -> list[str]:
    """Trials of the leaderboard, from above."""
    found: list[str] = page.locator("#trials tbody tr").evaluate_all("rows => rows.map(row => row.dataset.trial)")
    return found


def test_rows_appear_and_curves_grow_as_events_arrive(running: Running, opened: Opened) -> None:
    store, page = running.search("grows"), opened.page
    page.goto(f"{running.url}/searches/grows")
    expect(page.locator("#board")).to_contain_text("No trial has begun yet")
    with store.lock():
        begin(store)
        trial(store, 1, 0.3, status=None, baseline=True)
        expect(page.locator("#row-t0001")).to_contain_text("0.300")
        expect(page.locator("#training-t0001")).to_contain_text("1/9")
        expect(page.locator("#curves canvas")).to_be_visible()
        epoch(store, 1, 2, 0.45, device="cuda:0", gpu_memory_gib=80.0, peak_memory_gib=4.0)
        expect(page.locator("#row-t0001")).to_contain_text("0.450")
        expect(page.locator("#training-t0001")).to_contain_text("4 of 80 GiB")
        trial(store, 2, 0.6)
        expect(page.locator("#row-t0002")).to_contain_text("complete")
        expect(page.locator("#search-facts")).to_contain_text("t0002")
        expect(page.locator("#highlight option")).to_have_count(3)  # none, and both
        assert rows(page) == ["t0002", "t0001"]
        expect(page.locator("#rungs")).to_contain_text("0.600")
        assert not [url for url in opened.asked if not url.startswith(running.url)]


def test_what_one_does_stays_while_news_arrive(running: Running, opened: Opened) -> None:
    store, page = running.search("busy"), opened.page
    with store.lock():
        begin(store)
        for number in range(1, 6):
            trial(store, number, number / 10, backbone=f"lite{number % 2}", baseline=number == 1)
        page.set_viewport_size({"width": 500, "height": 700})
        page.goto(f"{running.url}/searches/busy")
        page.get_by_label("Backbone").select_option("lite1")
        expect(page.locator("#trials tbody tr")).to_have_count(3)
        page.locator("thead button", has_text=re.compile("^trial$")).press("Enter")
        expect(page.locator("[aria-sort=ascending]")).to_have_count(1)
        assert rows(page) == ["t0001", "t0003", "t0005"]
        focused = page.evaluate("document.activeElement.textContent")
        page.locator("#board-scroll").evaluate("one => { one.scrollLeft = 40; }")
        page.evaluate("window.scrollTo(0, 300)")
        seen_at = page.locator("#row-t0001").bounding_box()["y"]
        trial(store, 7, 0.9, backbone="lite1")
        trial(store, 8, 0.95, backbone="lite0")
        expect(page.locator("#row-t0007")).to_be_visible()
        assert rows(page) == ["t0001", "t0003", "t0005", "t0007"]
        assert page.evaluate("document.activeElement.textContent") == focused
        assert page.locator("#board-scroll").evaluate("one => one.scrollLeft") == 40
        assert page.locator("#row-t0001").bounding_box()["y"] == pytest.approx(seen_at, abs=2)
        find = page.get_by_label("Find")
        find.press_sequentially("t000")
        trial(store, 9, 0.1, backbone="lite1")
        expect(page.locator("#row-t0009")).to_be_visible()
        find.press_sequentially("9")
        expect(page.locator("#trials tbody tr")).to_have_count(1)
        expect(find).to_be_focused()
        expect(find).to_have_value("t0009")
        find.press("Enter")
        expect(page.locator("[aria-sort=ascending]")).to_have_text("trial")
        page.reload()  # the address has it all
        expect(page.locator("#trials tbody tr")).to_have_count(1)
        expect(page.locator("[aria-sort=ascending]")).to_have_count(1)


def test_a_server_that_comes_back_is_followed_on_and_no_row_is_there_twice(running: Running, browser: Any) -> None:
    store = running.search("back")
    with store.lock(), opened_window(browser) as opened:
        begin(store)
        trial(store, 1, 0.3, baseline=True)
        opened.page.goto(f"{running.url}/searches/back")
        expect(opened.page.locator("#stream")).to_have_attribute("data-state", "live")
        trial(store, 2, 0.4)
        expect(opened.page.locator("#row-t0002")).to_be_visible()
        running.stop()
        expect(opened.page.locator("#stream")).to_have_attribute("data-state", "lost")
        trial(store, 3, 0.5)
        running.start()
        expect(opened.page.locator("#row-t0003")).to_be_visible()
        expect(opened.page.locator("#stream")).to_have_attribute("data-state", "live")
        trial(store, 4, 0.6)
        expect(opened.page.locator("#row-t0004")).to_be_visible()
        assert rows(opened.page) == ["t0004", "t0003", "t0002", "t0001"]
        expect(opened.page.locator("#highlight option")).to_have_count(5)


def test_stopping_asks_once_and_shows_that_it_is_under_way(running: Running, opened: Opened) -> None:
    store, page = running.search("ends"), opened.page
    begin(store)
    page.goto(f"{running.url}/searches/ends")
    page.get_by_role("button", name="Stop").press("Enter")
    dialog = page.get_by_role("dialog", name="Stop ends?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    assert running.row("ends").desired == "run"
    page.get_by_role("button", name="Stop").click()
    dialog.get_by_role("button", name="Stop").click()
    expect(page.locator("#search-facts .badge")).to_have_text("stopping")
    assert running.row("ends").desired == "stop"
    with running.services.database.session() as session:  # as the engine does
        row = session.scalars(select(SearchRow).where(SearchRow.name == "ends")).one()
        row.state, row.reason = "stopped", "it was asked to"
    expect(page.locator("#search-facts .badge")).to_have_text("stopped")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_the_copied_table_is_the_command_lines(running: Running, shown: Store, opened: Opened) -> None:
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.page.goto(f"{running.url}/searches/shown")
    opened.page.get_by_role("button", name="Copy as Markdown").click()
    expect(opened.page.locator("#copied")).to_have_text("Copied")
    record = shown.record()
    told = to_markdown(record, gather(shown, record), conclusions=shown.conclusions())
    assert opened.page.evaluate("navigator.clipboard.readText()") == told


def test_a_trial_stands_out_in_picture_and_table(running: Running, shown: Store, opened: Opened) -> None:  # noqa: ARG001
    page = opened.page
    page.goto(f"{running.url}/searches/shown")
    key = page.locator("button.key").first
    key.press("Enter")
    expect(key).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#trials tr.lit")).to_have_attribute("data-trial", "t0002")
    expect(page.locator("#told")).to_contain_text("t0002: lite1")
    page.keyboard.press("Escape")
    expect(page.locator("#trials tr.lit")).to_have_count(0)
    page.get_by_label("Highlight a trial").select_option("t0003")
    expect(page.locator("#told")).to_contain_text("0.200 at epoch 1, pruned")
    assert page.evaluate("document.querySelectorAll('[onerror]').length") == 0


def test_a_search_is_planned_and_begun(running: Running, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    async def planned(*_: object) -> dict[str, Any]:
        return {"trials": 5, "shared": {"seconds": 700.0, "trial_seconds": 3600.0}}

    monkeypatch.setattr(proving, "plan", planned)
    page = opened.page
    page.goto(f"{running.url}/searches/new")
    page.get_by_label("Which settings to try").select_option("default")
    expect(page.locator("#axes")).to_contain_text("resnet18")
    page.get_by_label("Which settings to try").select_option("own")
    expect(page.get_by_label("Your space")).to_be_visible()
    page.get_by_label("Which settings to try").select_option("quick")
    expect(page.locator("#axes")).to_contain_text("lite0, lite1, lite2")
    page.get_by_label("Trials").fill("5")
    page.get_by_role("button", name="Plan it").click()
    expect(page.locator("#plan")).to_contain_text("12 min")
    page.get_by_label("Name").fill("a b")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#name-mistake-1")).to_be_visible()
    expect(page.get_by_label("Name")).to_be_focused()
    opened.said.clear()  # that the form was answered with 422
    page.get_by_label("Name").fill("begun")
    page.get_by_role("button", name="Start").press("Enter")
    expect(page).to_have_url(f"{running.url}/searches/begun")
    expect(page.locator("#search-facts .badge")).to_have_text("queued")
    assert running.row("begun").submission["budget"] == {"trials": 5}


def test_an_archive_is_uploaded_and_its_pictures_are_shown(running: Running, opened: Opened, tmp_path: Path) -> None:
    archive = tmp_path / "tinted.zip"
    folder = write_class_folders(tmp_path / "tinted")
    with zipfile.ZipFile(archive, "w") as packed:
        for file in folder.rglob("*.png"):
            packed.write(file, file.relative_to(tmp_path))
    page = opened.page
    page.goto(f"{running.url}/data")
    page.locator("#upload-name").fill("tinted")
    page.get_by_label("Archive", exact=True).set_input_files(archive)
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(f"{running.url}/data/tinted")
    expect(page.locator("#data-facts .badge")).to_have_text("ready")
    expect(page.locator(".pictures img")).to_have_count(40)
    page.locator(".pictures img").first.scroll_into_view_if_needed()
    expect(page.get_by_role("link", name="Start a search on it")).to_be_visible()
    loaded = "images => images[0].decode().then(() => images[0].naturalWidth)"
    assert page.locator(".pictures img").evaluate_all(loaded) > 0


@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], indirect=True, ids=["no scripts"])
def test_without_scripts_rows_are_found_and_sorted_and_a_search_is_begun(
    running: Running,
    shown: Store,  # noqa: ARG001
    opened: Opened,
) -> None:
    page = opened.page
    page.goto(running.url)
    page.get_by_role("link", name="shown").click()
    page.locator("thead button", has_text=re.compile("^trial$")).click()
    assert rows_named(page) == ["t0001", "t0002", "t0003", "t0004"]
    page.get_by_label("Find").fill("lite1")
    page.get_by_role("button", name="Show", exact=True).click()
    assert rows_named(page) == ["t0002"]
    expect(page.locator("#learning noscript p")).to_be_visible()
    page.goto(f"{running.url}/data")
    expect(page.locator("noscript p")).to_be_visible()
    page.get_by_role("link", name="New search").click()
    page.get_by_label("Name").fill("plain")
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(f"{running.url}/searches/plain")
    expect(page.locator("#search-facts .badge")).to_have_text("queued")


PAGES = ("/", "/searches/shown", "/searches/new", "/compare?a=shown&b=shown", "/data", "/data/cats", "/nothing")


@pytest.mark.parametrize(
    "opened",
    [
        {"color_scheme": "light", "viewport": {"width": 360, "height": 760}},
        {"color_scheme": "dark", "viewport": {"width": 1200, "height": 900}},
    ],
    indirect=True,
    ids=["light phone", "dark desktop"],
)
def test_all_can_be_read_and_reached(running: Running, shown: Store, opened: Opened) -> None:  # noqa: ARG001
    page = opened.page
    for path in PAGES:
        page.goto(running.url + path)
        if path == "/searches/shown":
            expect(page.locator("#curves canvas")).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate(LOW_CONTRAST) == [], path
        width = page.viewport_size["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator("a, button, input, select, textarea, summary, [tabindex='0']").evaluate_all(NAMELESS) == []
        assert page.locator("h1").count() == 1, path
        assert page.locator("h1, h2, h3").evaluate_all(SKIPPED_LEVELS) == [], path
        names = page.locator("[role=region]").evaluate_all("all => all.map((one) => one.ariaLabel)")
        assert len(names) == len(set(names)), path
        duplicates = "ids => ids.map(one => one.id).filter((id, at, all) => all.indexOf(id) !== at)"
        assert page.locator("[id]").evaluate_all(duplicates) == [], path
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content", path
    assert [text for text in opened.said if "404" not in text] == []
    opened.said.clear()  # that there is nothing at /nothing


def test_only_who_has_a_token_sees_anything_once_there_is_one(running: Running, shown: Store, browser: Any) -> None:  # noqa: ARG001
    with running.services.database.session() as session:
        _, text = create_token(session, "bob", "submit", NOON)
    with opened_window(browser) as opened:
        page = opened.page
        page.goto(f"{running.url}/searches/shown")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.get_by_label("Token").fill("thaw_wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_text("This token is not known")).to_be_visible()
        assert "t0002" not in page.content()
        page.get_by_label("Token").fill(text)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{running.url}/searches/shown")
        expect(page.locator("#row-t0002")).to_be_visible()
        assert re.search("thaw_session", str(page.context.cookies()))
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    with running.services.database.session() as session:
        for token in session.scalars(select(TokenRow)):
            session.delete(token)
