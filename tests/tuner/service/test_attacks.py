"""Attacks on the service, tried one by one; docs/security.md lists them.

Those by archives are in test_unpacking.py, by paths and pictures in api/test_data_api.py, by pages in page/.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from service_rows import NOON
from small_service import SmallService, small_service
from sqlalchemy import select

from tuner.config import DataReading
from tuner.service.access.accounts import create_token, list_tokens, revoke_token
from tuner.service.access.security import REFUSED_PER_MINUTE
from tuner.service.api.answers import to_cursor
from tuner.service.database.connection import Database
from tuner.service.database.rows import UserRow
from tuner.service.page.sessions import COOKIE
from tuner.service.submissions.submission import Submission, search_arguments

SEARCH = {"space": "quick", "data": "cats"}


def refusal(answer: Any) -> tuple[int, str]:
    """The status and what is told, in the one shape that refusals have."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["detail"]


# --- who asks ---


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer thaw_guessed",
        "Bearer \u00fc",
        "Basic YWRhOmFkYQ==",
        "Token {token}",
        "bearer  ",
        "Bearer {token}x",
        "Bearer {upper}",
    ],
)
def test_what_is_no_token_opens_nothing(service: SmallService, authorization: str) -> None:
    token = service.token("ada")["Authorization"].removeprefix("Bearer ")
    shown = authorization.format(token=token, upper=token.upper()).encode()
    answer = service.client.get("/v1/searches", headers={"Authorization": shown})  # type: ignore[dict-item]
    assert refusal(answer)[0] == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert service.client.get(f"/v1/searches?token={token}&access_token={token}").status_code == 401


def test_a_token_counts_no_more_once_it_is_revoked_expired_or_its_user_disabled(service: SmallService) -> None:
    lasting = service.token("ada", "admin")
    expired = service.token("ada", lifetime=timedelta(days=1))  # in the past by now
    assert service.client.get("/v1/me", headers=expired).status_code == 401
    assert service.client.get("/v1/me", headers=lasting).json() == {"name": "ada", "scope": "admin"}
    with service.services.database.session() as session:
        session.scalars(select(UserRow).where(UserRow.name == "ada")).one().is_disabled = True
    assert service.client.get("/v1/me", headers=lasting).status_code == 401
    with service.services.database.session() as session:
        session.scalars(select(UserRow).where(UserRow.name == "ada")).one().is_disabled = False
        for token in list_tokens(session):
            revoke_token(session, token.id, NOON)
    assert service.client.get("/v1/me", headers=lasting).status_code == 401
    assert service.client.get("/v1/me").status_code == 401, "that all are revoked opens nothing"


def test_nothing_but_whether_it_lives_is_told_without_a_token(service: SmallService) -> None:
    service.token("ada")
    described = service.client.get("/v1/openapi.json").json()
    for path, verbs in described["paths"].items():
        for verb in verbs:
            asked = path.replace("{name}", "x").replace("{trial}", "t0001").replace("{number}", "0")
            answer = service.client.request(verb, asked.replace("{space}", "quick"))
            expected = 200 if path in ("/healthz", "/readyz") else 401
            assert answer.status_code == expected, (verb, path)


def test_who_may_only_read_changes_nothing(service: SmallService) -> None:
    service.submit("first")
    reads = service.token("eve", "read")
    described = service.client.get("/v1/openapi.json").json()
    for path, verbs in described["paths"].items():
        for verb in {*verbs} - {"get"}:
            asked = path.replace("{name}", "first")
            bodies = {"/v1/data": {"name": "x"}, "/v1/searches/{name}/extend": {"trials": 1}}
            answer = service.client.request(verb, asked, json=bodies.get(path, SEARCH), headers=reads)
            assert refusal(answer) == (403, "this token is of scope read: one of scope submit may do that"), path
    assert service.client.get("/v1/searches/first", headers=reads).json()["state"] == "queued"


def test_what_is_somebody_elses_stays_as_it_is(service: SmallService) -> None:
    ada, eve, admin = service.token("ada"), service.token("eve"), service.token("root", "admin")
    service.submit("first", ada)
    service.told("found")
    service.client.post("/v1/data", json={"name": "mine"}, headers=ada)
    for name in ("first", "found"):
        for verb in ("stop", "resume", "restore"):
            assert refusal(service.client.post(f"/v1/searches/{name}/{verb}", headers=eve))[0] == 403
        extended = service.client.post(f"/v1/searches/{name}/extend", json={"trials": 1}, headers=eve)
        assert refusal(extended)[0] == 403
        assert refusal(service.client.delete(f"/v1/searches/{name}", headers=eve))[0] == 403
    assert refusal(service.client.delete("/v1/data/mine", headers=eve))[0] == 403
    assert refusal(service.client.post("/v1/data/mine/archive", content=b"PK", headers=eve))[0] == 403
    assert service.client.get("/v1/searches/first", headers=eve).json()["owner"] == "ada"
    assert service.client.post("/v1/searches/first/stop", headers=admin).status_code == 202
    assert service.client.post("/v1/searches/found/stop", headers=admin).status_code == 202


def test_the_same_key_of_another_user_is_another_key(service: SmallService) -> None:
    ada, eve = service.token("ada"), service.token("eve")
    key = {"Idempotency-Key": "1"}
    first = service.client.post("/v1/searches", json={**SEARCH, "name": "a"}, headers=ada | key)
    second = service.client.post("/v1/searches", json={**SEARCH, "name": "e"}, headers=eve | key)
    assert (first.json()["name"], second.json()["name"]) == ("a", "e")


def test_guessing_is_slowed_and_locks_nobody_out(service: SmallService) -> None:
    ada = service.token("ada")
    guesses = [
        service.client.get("/v1/me", headers={"Authorization": f"Bearer thaw_{number}"}).status_code
        for number in range(REFUSED_PER_MINUTE + 5)
    ]
    assert guesses[0] == 401
    assert guesses[-1] == 429
    assert service.client.get("/v1/me", headers=ada).status_code == 200


def test_guessing_at_the_login_is_slowed_as_well(service: SmallService) -> None:
    token = service.token("ada")["Authorization"].removeprefix("Bearer ")
    statuses = [
        service.client.post("/login", data={"token": f"thaw_{number}"}, follow_redirects=False).status_code
        for number in range(REFUSED_PER_MINUTE + 5)
    ]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert service.client.post("/login", data={"token": token}, follow_redirects=False).status_code == 303


def test_a_token_may_ask_only_so_often(service_database: Database, tmp_path: Any) -> None:
    with small_service(service_database, tmp_path, requests_per_minute=60) as service:
        ada = service.token("ada")
        statuses = [service.client.get("/v1/me", headers=ada) for _ in range(30)]
        assert statuses[0].status_code == 200
        assert refusal(statuses[-1])[0] == 429
        assert int(statuses[-1].headers["Retry-After"]) >= 1
        assert service.client.get("/v1/me", headers=service.token("eve")).status_code == 200


# --- other websites ---


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8420", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
def test_a_name_that_was_made_to_lead_here_opens_nothing(service: SmallService, host: str) -> None:
    answer = service.client.get("/v1/searches", headers={"Host": host})
    assert refusal(answer)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8420", "127.0.0.1:8420", "[::1]:8420", "[::1]"])
def test_this_machines_own_names_do(service: SmallService, host: str) -> None:
    assert service.client.get("/v1/searches", headers={"Host": host}).status_code == 200


FROM_ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
def test_another_website_begins_and_ends_nothing(service: SmallService, headers: dict[str, str]) -> None:
    service.submit("first")
    assert refusal(service.client.post("/v1/searches", json=SEARCH, headers=headers))[0] == 403
    assert refusal(service.client.delete("/v1/searches/first", headers=headers))[0] == 403
    assert [item["state"] for item in service.client.get("/v1/searches").json()["items"]] == ["queued"]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
def test_a_visitors_login_is_of_no_use_to_another_website(service: SmallService, headers: dict[str, str]) -> None:
    with service.services.database.session() as session:
        token, _ = create_token(session, "ada", "submit", NOON)
    signed = service.client.app.state.sessions._signer.sign(token.id).decode()  # type: ignore[attr-defined]
    service.client.cookies.set(COOKIE, signed)
    assert service.client.get("/v1/me").json()["name"] == "ada"
    assert refusal(service.client.post("/v1/searches", json=SEARCH, headers=headers))[0] == 403
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert service.client.post("/v1/searches", json=SEARCH, headers=own).status_code == 201


def test_a_login_cannot_be_forged(service: SmallService) -> None:
    with service.services.database.session() as session:
        token, _ = create_token(session, "ada", "admin", NOON)
    signed = service.client.app.state.sessions._signer.sign(token.id).decode()  # type: ignore[attr-defined]
    said, _, signature = signed.rpartition(".")
    other = f"{said}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"  # the last letter has bits that say nothing
    for forged in (token.id, f"{token.id}.x.y", other, signed.replace(token.id, "0" * 26), ""):
        service.client.cookies.set(COOKIE, forged)
        assert service.client.get("/v1/me").status_code == 401, forged
        service.client.cookies.clear()


def test_a_form_of_another_website_is_no_submission(service: SmallService) -> None:
    for type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = service.client.post("/v1/searches", content=json.dumps(SEARCH), headers={"Content-Type": type})
        assert refusal(answer)[0] == 422
    assert service.client.get("/v1/searches").json()["items"] == []


def test_no_other_website_may_read_or_frame(service: SmallService) -> None:
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    for answer in (
        service.client.get("/v1/searches", headers=origin),
        service.client.options("/v1/searches", headers=origin),
        service.client.get("/v1/nothing", headers=origin),
        service.client.get("/", headers={"Accept": "text/html"}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert service.client.get("/v1/searches").headers["Cache-Control"] == "no-store"


# --- what is sent ---


def test_bodies_are_bounded_by_what_comes(service: SmallService) -> None:
    large = json.dumps({**SEARCH, "notes": "x" * (2 << 20)}).encode()
    headers = {"Content-Type": "application/json"}
    assert refusal(service.client.post("/v1/searches", content=large, headers=headers))[0] == 413
    in_parts = service.client.post("/v1/searches", content=iter([large[:1000], large[1000:]]), headers=headers)
    assert refusal(in_parts)[0] == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"null",
        b"[]",
        b"\xff\xfe{}",
        b'{"space": NaN, "data": Infinity}',
        b'{"space": "quick", "data": "cats", "seed": 1e999}',
        b'{"space": "quick", "data": "cats", "seed": ' + b"9" * 5000 + b"}",
        b'{"space": "quick", "data": "cats", "name": "\\ud800"}',
        b'{"space": "quick", "data": "cats", "\\ud800": 1}',
        b'{"space": "quick", "data": "cats\\u0000"}',
        b'{"space": "quick", "data": "cats", "hypothesis": "a\\u0000b"}',
        b'{"space": "quick", "data": "cats", "references": ["a", "\\u0000"]}',
        b'{"space": "quick", "data": "cats", "reading": {"label_column": "a\\u0000"}}',
        b'{"space": "quick", "data": "cats", "reading": {"label_column": "' + b"a" * 200_000 + b'"}}',
        b'{"space": "quick", "data": "cats", "budget": {"hours": -1}}',
        b'{"space": "quick", "data": "cats", "name": "a\\nb"}',
        b'{"space": "quick", "data": "cats", "name": ".."}',
        b'{"space": "quick", "data": "cats", "name": "-rf"}',
    ],
    ids=lambda body: body[:40],
)
def test_bodies_that_are_no_submission_are_refused(service: SmallService, body: bytes) -> None:
    answer = service.client.post("/v1/searches", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer)[0] == 422
    assert service.client.get("/v1/searches").json()["items"] == []


def test_null_characters_come_in_by_no_other_way_either(service: SmallService) -> None:
    service.submit("first")
    service.be("first", "stopped")
    data = {"name": "birds", "path": "birds", "reading": {"image_column": "a\0"}}
    assert refusal(service.client.post("/v1/data", json=data))[0] == 422
    extended = service.client.post("/v1/searches/first/extend", json={"space_yaml": "a: \0"})
    assert refusal(extended)[0] == 422
    assert refusal(service.client.get("/v1/searches?owner=%00"))[0] == 422
    cursor = to_cursor(NOON, "\0")
    assert refusal(service.client.get("/v1/searches", params={"cursor": cursor}))[0] == 422
    page = service.client.post("/searches", data={**SEARCH, "notes": "a\0b"}, headers={"Accept": "text/html"})
    assert page.status_code == 422
    assert [one["name"] for one in service.client.get("/v1/searches").json()["items"]] == ["first"]


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: " + "[" * 60,
        "a: !!python/object/apply:os.system [id]\n",
        "a: &a [*a]\n",
        "version: 1\nversion: 1\n",
        "<<: {a: 1}\n",
        "\0",
        "a: \ud800",
    ],
    ids=["laughs", "nested", "object", "circle", "twice", "merge", "null", "surrogate"],
)
def test_spaces_that_are_bombs_are_refused(service: SmallService, text: str) -> None:
    body = json.dumps({"space_yaml": text, "data": "cats"})
    answer = service.client.post("/v1/searches", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer)[0] == 422
    assert service.client.get("/v1/searches").json()["items"] == []


def test_no_file_of_the_server_is_read_as_a_space(service: SmallService, tmp_path: Path) -> None:
    file = tmp_path / "passwords.yaml"
    file.write_text("hunter2: 1\n")
    for space in (str(file), f"../{file.name}", "/etc/passwd"):
        given = {**SEARCH, "space": space}
        for verb in ("searches", "plan", "check"):
            assert refusal(service.client.post(f"/v1/{verb}", json=given)) == (
                422,
                f"space: there is no shipped space {space!r}",
            )
        for path in ("/searches", "/searches/new/plan"):
            answer = service.client.post(path, data=given, headers={"Accept": "text/html"})
            assert "there is no shipped space" in answer.text
            assert "hunter2" not in answer.text
    assert service.client.get("/v1/searches").json()["items"] == []


@pytest.mark.parametrize("backbone", ["timm:local-dir:/etc", "timm:hf-hub:someone/model", "timm:../../x"])
def test_a_backbone_leads_to_no_folder_and_no_other_host(service: SmallService, backbone: str) -> None:
    answer = service.submit("first", overrides={"backbone": [f"lite0={backbone}"]})
    assert refusal(answer)[0] == 422
    assert service.client.get("/v1/searches").json()["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/searches/..%2f..%2fetc%2fpasswd",
        "/v1/searches/%2e%2e/best.yaml",
        "/v1/searches/..%5c..",
        "/v1/searches/%00",
        "/v1/searches/.service",
        "/v1/searches/.service/logs",
        "/v1/searches/first%2f..%2f.service/best.yaml",
        "/v1/searches/first/trials/..%2f..%2fsearch.yaml",
        "/v1/spaces/..%2f..%2fpyproject",
        "/v1/spaces//etc/passwd",
        "/v1/data/..%2f..%2fetc",
        "/v1/data/cats/pictures/..%2f..",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static/%2e%2e/%2e%2e/app.py",
    ],
)
def test_names_lead_nowhere_else(service: SmallService, path: str) -> None:
    service.submit("first")
    answer = service.client.get(path)
    assert answer.status_code in (404, 405, 422)
    assert refusal(answer)[0] == answer.status_code


@pytest.mark.parametrize("owner", ["' OR 1=1 --", '"; DROP TABLE searches; --', "%", "\0", "*"])
def test_filters_are_only_values(service: SmallService, owner: str) -> None:
    service.submit("first")
    answer = service.client.get("/v1/searches", params={"owner": owner, "space": owner})
    assert answer.status_code in (200, 422)
    assert answer.json().get("items", []) == []
    assert len(service.client.get("/v1/searches").json()["items"]) == 1


@pytest.mark.parametrize("key", ["a b", "a\x7f", "x" * 201, "\u00fc"])
def test_keys_are_plain(service: SmallService, key: str) -> None:
    answer = service.client.post("/v1/searches", json=SEARCH, headers={"Idempotency-Key": key.encode()})  # type: ignore[dict-item]
    assert refusal(answer)[0] == 422


# --- what comes back ---


def test_names_and_errors_are_inert(service: SmallService) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    told = service.told("flowers")
    told.begin_trial("t0001", 0)
    told.end_trial("t0001", "failed", hostile)
    refused = service.client.post("/v1/searches", json={**SEARCH, "name": hostile})
    assert refusal(refused)[0] == 422
    listed = service.client.get("/v1/searches/flowers/trials")
    assert listed.headers["content-type"] == "application/json"
    assert listed.json()["items"][0]["error"] == hostile
    page = service.client.get("/searches/flowers", headers={"Accept": "text/html"}).text
    assert "<img src=x" not in page
    missing = service.client.get(f"/searches/{hostile}", headers={"Accept": "text/html"}).text
    assert "<img src=x" not in missing


def test_a_mistake_of_the_service_tells_nothing_of_it(
    service_database: Database, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_service(service_database, tmp_path) as service:

        def fail() -> None:
            raise RuntimeError("secret of /srv/results")

        monkeypatch.setattr(service.engine, "queue", fail)
        monkeypatch.setattr(service.client._transport, "raise_server_exceptions", False)
        answer = service.client.get("/v1/queue")
        assert refusal(answer) == (500, "this is a mistake of the service: its log tells more")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("value", ["--results=/tmp", "--", "-h", "a --plugin=x.py", "$(id)", "; id"])
def test_values_are_no_options_of_a_command(value: str) -> None:
    submission = Submission(space="quick", data="cats", reading=DataReading(image_column=value), notes=value)
    arguments = search_arguments(submission, "first", "quick", Path("/data"), submission.reading)
    assert f"--image-column={value}" in arguments
    assert f"--notes={value}" in arguments
    assert [one for one in arguments if not one.startswith("--")] == ["search", "quick"]
    assert arguments[-2:] == ["--", "quick"]
