"""The pages of a service whose engine does nothing: each address, who may, and what forms come to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from parsed_html import HOSTILE, by_id, parsed
from service_rows import NOON
from small_service import SmallService, small_service
from sqlalchemy import delete, select

from tuner.service.access.accounts import find_or_add_user
from tuner.service.database.connection import Database
from tuner.service.database.rows import DataSetRow, SearchRow
from tuner.service.services import Health, QueuedSearch
from tuner.store import Store

HTML = {"Accept": "text/html"}


def get(service: SmallService, address: str, **headers: str) -> httpx.Response:
    return service.client.get(address, headers=HTML | headers, follow_redirects=False)


def post(service: SmallService, address: str, headers: dict[str, str] | None = None, **typed: str) -> httpx.Response:
    own = HTML | {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    return service.client.post(address, data=typed, headers=own | (headers or {}), follow_redirects=False)


def row_of(service: SmallService, name: str) -> SearchRow:
    with service.services.database.reading() as session:
        return session.scalars(select(SearchRow).where(SearchRow.name == name)).one()


@pytest.fixture
def told(service: SmallService) -> Any:
    """A search of two trials."""
    told = service.told("mine")
    told.trial("t0001", 0, 0.3, 0.4, baseline=True)
    told.trial("t0002", 1, 0.5)
    return told


def test_a_newcomer_is_told_what_to_do(service: SmallService) -> None:
    page = get(service, "/")
    assert page.status_code == 200
    assert "Three steps" in page.text
    assert "<code>quick</code>" in page.text
    assert 'href="/searches/new"' in page.text


@pytest.mark.usefixtures("told")
def test_the_list_has_each_search_with_how_far_it_is(service: SmallService) -> None:
    service.submit("waits")
    service.engine.waiting = [QueuedSearch("waits", "me", 0, 1, "")]
    page = parsed(get(service, "/").text.removeprefix("<!doctype html>\n"))
    mine, waits = by_id(page, "search-mine").text, by_id(page, "search-waits").text
    assert "2 of 3 trials" in mine
    assert "0.500" in mine
    assert "1st in line" in waits
    part = get(service, "/", **{"HX-Request": "true"}).text
    assert part.startswith('<div id="searches"')
    assert "waits" not in get(service, "/?state=running", **{"HX-Request": "true"}).text


def test_a_long_list_goes_on_on_another_page(service: SmallService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.service.page.found.ON_A_PAGE", 2)
    for number in range(5):
        service.submit(f"s{number}")
    seen, address = [], "/"
    while address:
        html = get(service, address).text
        seen += re.findall(r'id="search-(s\d)"', html)
        found = re.search(r'href="(/\?cursor=[^"]+)"', html)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == ["s4", "s3", "s2", "s1", "s0"]


@pytest.mark.usefixtures("told")
def test_a_list_of_several_people_can_be_narrowed_to_one(service: SmallService) -> None:
    service.submit("own")
    assert 'name="owner"' not in get(service, "/").text, "as long as there is one"
    service.submit("others", service.token("bob"))
    me = row_of(service, "own").owner
    assert me
    token = service.token(me.name, "read")
    page = get(service, "/?owner=bob", **token).text
    assert re.findall(r'id="search-(\w+)"', page) == ["others"]
    assert re.findall(r"<option[^>]*>([^<]+)", page.partition('name="owner"')[2]) == ["all", "bob", me.name]
    assert "No search is like this now" in get(service, "/?owner=bob&state=failed", **token).text


@pytest.mark.usefixtures("told")
def test_a_search_is_shown_and_its_rows_follow_the_address(service: SmallService) -> None:
    service.engine.told = Health(is_ready=True, cpus=2, gpus=1)
    page = get(service, "/searches/mine").text
    assert page.index('id="row-t0002"') < page.index('id="row-t0001"')
    assert "2 CPUs, 1 GPU." in page
    live = get(service, "/searches/mine/live?find=t0001&by=trial")
    assert 'id="row-t0002"' not in live.text
    assert live.headers["HX-Replace-Url"] == "/searches/mine?find=t0001&sort=trial&order=ascending"
    assert 'id="row-t0002"' not in get(service, live.headers["HX-Replace-Url"]).text


def test_new_events_are_in_the_next_answer(service: SmallService, told: Any) -> None:
    seq = get(service, "/searches/mine/curves").json()["seq"]
    told.trial("t0003", 2, 0.7)
    found = get(service, f"/searches/mine/curves?after={seq}").json()
    assert [curve["trial"] for curve in found["curves"]] == ["t0003"]
    assert [trial for trial, _ in found["order"]] == ["t0003", "t0002", "t0001"]
    assert 'id="row-t0003"' in get(service, "/searches/mine/live").text


@pytest.mark.usefixtures("told")
def test_the_end_of_what_a_search_printed_is_shown(service: SmallService) -> None:
    log = service.services.settings.drivers / f"{row_of(service, 'mine').id}.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 20_000 + f"\n{HOSTILE}\n")
    shown = by_id(parsed(get(service, "/searches/mine/log").text), "log-text").text
    assert shown.strip() == HOSTILE


def test_a_search_that_nothing_is_told_of_yet_has_a_page(service: SmallService) -> None:
    service.submit("waits")
    assert get(service, "/searches/waits").status_code == 200
    Store.create(service.results, "waits").events_jsonl.touch()
    assert "/searches/waits/live" in get(service, "/searches/waits").text
    assert get(service, "/searches/waits/live").status_code == 200
    assert get(service, "/searches/waits/curves").json()["order"] == []


@pytest.mark.parametrize("path", ["/nothing", "/searches/nothing", "/searches/nothing/live", "/searches/nothing/stop"])
def test_what_is_not_there_is_told_kindly(service: SmallService, path: str) -> None:
    answer = post(service, path) if path.endswith("stop") else get(service, path)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert "text/html" in answer.headers["content-type"]
    assert 'aria-current="page"' not in answer.text
    assert 'href="/data"' in answer.text, "the menu is there"
    assert "Not Found" not in answer.text
    assert get(service, "/v1/searches/nothing").json()["status"] == 404


def test_a_mistake_of_the_server_is_told_as_such(service: SmallService, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("tuner.service.page.routes.searches.known_searches", broken)
    monkeypatch.setattr(service.client._transport, "raise_server_exceptions", False)
    answer = get(service, "/")
    assert answer.status_code == 500
    assert "Something broke" in answer.text
    assert "secret" not in answer.text


def test_what_is_wanted_of_a_search_is_asked_by_forms(service: SmallService) -> None:
    service.submit("mine")
    for verb, state, wanted in (
        ("stop", "running", "stop"),
        ("resume", "stopped", "run"),
        ("delete", "stopped", "delete"),
        ("restore", "deleted", "stop"),
    ):
        if verb != "restore":
            service.be("mine", state)
        answer = post(service, f"/searches/mine/{verb}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/searches/mine"), verb
        assert row_of(service, "mine").desired == wanted
    service.be("mine", "complete")
    assert post(service, "/searches/mine/extend", trials="4", epochs="").status_code == 303
    assert (row_of(service, "mine").wish or {})["trials"] == 4
    assert not (row_of(service, "mine").wish or {})["accept_changes"]
    refused = post(service, "/searches/mine/extend", trials="4", epochs="2")
    assert refused.status_code == 422
    assert "one kind at a time" in refused.text


def test_a_search_that_has_changed_offers_to_accept_that(service: SmallService) -> None:
    service.submit("mine")
    with service.services.database.session() as session:
        changed = session.scalars(select(SearchRow)).one()
        changed.state, changed.refused_wish, changed.wish_begun = "stopped", 0, changed.wish_number
        changed.desired, changed.reason = "run", "code: a -> b"
    shown = service.client.get("/searches/mine", headers={"Accept": "text/html"}).text
    assert 'id="accept-button"' in shown
    assert 'id="resume-button"' not in shown
    assert service.client.get("/v1/searches/mine").json()["has_changed"]
    assert post(service, "/searches/mine/accept").status_code == 303
    assert (row_of(service, "mine").wish or {})["accept_changes"]


def test_another_website_cannot_have_a_visitor_stop_a_search(service: SmallService) -> None:
    service.submit("mine")
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert post(service, "/searches/mine/stop", headers).status_code == 403, headers
    assert row_of(service, "mine").desired == "run"


def test_with_tokens_pages_send_to_the_login_and_back(service: SmallService) -> None:
    token = service.token("bob")["Authorization"].removeprefix("Bearer ")
    asked = get(service, "/searches/mine?find=a")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fsearches%2Fmine%3Ffind%3Da")
    assert get(service, "/searches/mine/live", **{"HX-Request": "true"}).status_code == 401
    wrong = post(service, "/login", token="thaw_wrong", next="/data")
    assert wrong.status_code == 401
    assert "not known" in wrong.text
    assert "set-cookie" not in wrong.headers
    right = post(service, "/login", token=f" {token} ", next="/compare")
    assert (right.status_code, right.headers["location"]) == (303, "/compare")
    assert get(service, "/").status_code == 200
    assert "bob" in get(service, "/").text
    post(service, "/logout")
    assert get(service, "/").status_code == 303


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example", "/\\evil.example", "/login?next=/", "x"])
def test_the_login_leads_to_no_other_place(service: SmallService, address: str) -> None:
    token = service.token("bob")["Authorization"].removeprefix("Bearer ")
    assert post(service, "/login", token=token, next=address).headers["location"] == "/"


@pytest.mark.usefixtures("told")
def test_who_may_only_look_changes_nothing(service: SmallService) -> None:
    reader, other = service.token("eve", "read"), service.token("bob")
    assert get(service, "/searches/mine", **reader).status_code == 200
    for headers in (reader, other):
        assert post(service, "/searches/mine/stop", headers).status_code == 403
    assert get(service, "/searches/new", **reader).status_code == 403
    assert post(service, "/searches", reader, space="quick", data="cats").status_code == 403


def test_a_search_is_begun_from_its_form(service: SmallService) -> None:
    form = get(service, "/searches/new?data=cats").text
    assert "<option selected>cats</option>" in form
    assert "5e-5 to 1e-3, log" in form
    typed = {"space": "quick", "data": "cats", "name": "begun", "trials": "8", "image_size": "64", "priority": "2"}
    answer = post(service, "/searches", **typed)
    assert (answer.status_code, answer.headers["location"]) == (303, "/searches/begun")
    row = row_of(service, "begun")
    assert row.priority == 2
    assert row.submission["budget"] == {"trials": 8}
    assert row.submission["overrides"] == {"image_size": ["64"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [("trials", "-1"), ("name", "a b"), ("backbone", "lite9"), ("data", "dogs"), ("name", "taken"), ("epochs", "x")],
)
def test_the_form_comes_back_with_the_mistake_at_its_field(service: SmallService, field: str, value: str) -> None:
    service.submit("taken")
    answer = post(service, "/searches", **({"space": "quick", "data": "cats", "notes": HOSTILE} | {field: value}))
    assert answer.status_code == 422
    page = parsed(answer.text.removeprefix("<!doctype html>\n"))
    assert by_id(page, f"{field}-mistake-1").text
    assert "[A-Z" not in answer.text, "no regular expression is told to people"
    assert by_id(page, field).attributes["aria-invalid"] == "true"
    assert by_id(page, "notes").attributes["value"] == HOSTILE


def test_the_axes_of_each_space_can_be_seen(service: SmallService) -> None:
    assert "head.width" in get(service, "/searches/new/axes?space=quick").text
    assert 'id="space_yaml"' in get(service, "/searches/new/axes?space=own").text
    assert get(service, "/searches/new/axes?space=../../etc/passwd").status_code == 200


@pytest.mark.usefixtures("told")
def test_two_searches_side_by_side(service: SmallService) -> None:
    other = service.told("other")
    other.trial("t0001", 0, 0.2, baseline=True)
    page = get(service, "/compare?a=mine&b=other").text
    assert "<h3>Scores of the best</h3>" in page
    assert get(service, "/compare?a=mine&b=%2Fetc%2Fpasswd").status_code == 404
    assert "It takes two" not in get(service, "/compare").text


def test_without_data_a_newcomer_is_told_how_to_add_some(service_database: Database, tmp_path: Path) -> None:
    with service_database.session() as session:
        session.execute(delete(DataSetRow))
    with small_service(service_database, tmp_path, data_roots=()) as service:
        page = get(service, "/data").text
        assert "No data yet" in page
        assert "--data-root" in page
        assert "No data are ready" in get(service, "/searches/new").text


def test_data_are_shown_with_their_pictures_and_what_was_found_in_them(service: SmallService) -> None:
    with service.services.database.session() as session:
        row = session.scalars(select(DataSetRow)).one()
        row.told = {"images": 3, "task": "multilabel", "balance": {HOSTILE: {"train": 2}}, "split_sizes": {"train": 3}}
    listing = service.services.settings.uploads / f"{row.id}.pictures"
    listing.parent.mkdir(parents=True)
    picture = {"image": "a.png", "path": "/a.png", "labels": [HOSTILE], "split": "train"}
    listing.write_text(json.dumps(picture) + "\n")
    for address in ("/data", "/data/cats"):
        page = parsed(get(service, address).text.removeprefix("<!doctype html>\n"))
        (image,) = [one for one in page.all("img") if "/v1/data/" in one.attributes["src"]]
        assert image.attributes["src"] == "/v1/data/cats/pictures/0"
    assert HOSTILE in page.text
    assert "3 images, 1 label<" in get(service, "/data").text
    assert get(service, "/data/nothing").status_code == 404


def test_data_are_registered_and_removed_by_forms(service_database: Database, tmp_path: Path) -> None:
    (tmp_path / "root" / "cats").mkdir(parents=True)
    with small_service(service_database, tmp_path, data_roots=(tmp_path / "root",)) as service:
        for typed, field in (
            ({"name": "a b", "path": "cats"}, "name"),
            ({"name": "cats", "path": "cats"}, "name"),  # there is one
            ({"name": "mine", "path": "/etc"}, "path"),
            ({"name": "mine", "path": ""}, "path"),
        ):
            answer = post(service, "/data", **typed)
            assert answer.status_code == 422, typed
            assert f'id="{field}-mistake-1"' in answer.text, typed
        assert post(service, "/data", name="mine", path="cats").headers["location"] == "/data/mine"
        with service.services.database.session() as session:
            row = session.scalars(select(DataSetRow).where(DataSetRow.name == "mine")).one()
            row.state = "refused"
        assert post(service, "/data/mine/remove", service.token("bob")).status_code == 403
        admin = service.token("root", "admin")
        assert post(service, "/data/mine/remove", admin).headers["location"] == "/data"
        assert get(service, "/data/mine", **admin).status_code == 404


def test_scripts_may_be_kept_and_pages_may_not(service: SmallService) -> None:
    page = get(service, "/")
    assert page.headers["cache-control"] == "no-store"
    (address,) = re.findall(r'src="(/static/service.js[^"]+)"', page.text)
    assert "immutable" in get(service, address).headers["cache-control"]
    assert get(service, "/static/service.js").headers["cache-control"] == "no-cache"
    assert get(service, "/favicon.ico").headers["content-type"] == "image/svg+xml"
    assert get(service, "/static/../assets.py").status_code == 404


def test_a_user_that_was_never_here_is_one_from_now_on(service: SmallService) -> None:
    get(service, "/")
    with service.services.database.session() as session:
        assert find_or_add_user(session, "me", NOON).created_at != NOON
