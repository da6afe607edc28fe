"""Cookies that name a token."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from tuner.service.page import sessions
from tuner.service.page.sessions import COOKIE, Sessions


def asked_with(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]})


def cookie_of(response: Response) -> str:
    return response.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")


def test_a_login_is_known_again_also_by_the_server_after_it(tmp_path: Path) -> None:
    response = Response()
    Sessions(tmp_path).begin(response, "token-7", is_https=True)
    assert Sessions(tmp_path).token_id(asked_with(cookie_of(response))) == "token-7"
    assert {"HttpOnly", "SameSite=strict", "Secure"} <= set(response.headers["set-cookie"].split("; "))


def test_by_plain_http_the_cookie_comes_back_too(tmp_path: Path) -> None:
    response = Response()
    Sessions(tmp_path).begin(response, "token-7", is_https=False)
    assert "Secure" not in response.headers["set-cookie"]


@pytest.mark.parametrize("cookie", ["", "token-7", "token-7.aaaa.bbbb", "\x7f.."])
def test_what_this_server_has_not_signed_is_nobody(tmp_path: Path, cookie: str) -> None:
    assert Sessions(tmp_path).token_id(asked_with(cookie)) is None


def test_another_servers_signature_does_not_count(tmp_path: Path) -> None:
    response = Response()
    Sessions(tmp_path / "one").begin(response, "token-7", is_https=False)
    assert Sessions(tmp_path / "other").token_id(asked_with(cookie_of(response))) is None


def test_a_login_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    response = Response()
    Sessions(tmp_path).begin(response, "token-7", is_https=False)
    monkeypatch.setattr(sessions, "LASTS_SECONDS", -1)
    assert Sessions(tmp_path).token_id(asked_with(cookie_of(response))) is None


def test_nobody_else_on_the_machine_reads_the_key(tmp_path: Path) -> None:
    Sessions(tmp_path)
    (key,) = tmp_path.iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
