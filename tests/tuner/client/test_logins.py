"""Servers that are known, and their tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.client.logins import Login, Logins, is_open_to_listeners, server_url

ONE, OTHER = Login("https://gpu.example.org/thaw", "secret"), Login("http://127.0.0.1:8420")


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    return Logins(tmp_path / "config")


def test_the_latest_login_is_the_default(logins: Logins) -> None:
    assert logins.all() == []
    logins.keep(ONE)
    logins.keep(OTHER)
    assert logins.find(None) == OTHER
    assert logins.find(ONE.url) == ONE
    logins.keep(Login(ONE.url, "newer"))
    assert logins.all() == [OTHER, Login(ONE.url, "newer")]


def test_only_its_owner_can_read_the_file(logins: Logins, tmp_path: Path) -> None:
    logins.keep(ONE)
    (file,) = (tmp_path / "config").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    logins.keep(OTHER)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "config").iterdir()) == [file]


def test_a_login_is_forgotten(logins: Logins, tmp_path: Path) -> None:
    logins.keep(ONE)
    logins.forget(ONE.url)
    assert "secret" not in (tmp_path / "config" / "servers.json").read_text()
    with pytest.raises(UserError, match="not logged in there \\(logged in to: none\\)"):
        logins.forget(ONE.url)


def test_without_a_login_there_is_no_default(logins: Logins) -> None:
    with pytest.raises(UserError, match="tuner login URL"):
        logins.find(None)
    assert logins.find("http://127.0.0.1:8420") == OTHER


def test_a_broken_file_is_one_line(logins: Logins, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    for text in ("{", "[]", '{"servers": [{}]}', '{"servers": 3}'):
        (tmp_path / "config" / "servers.json").write_text(text)
        with pytest.raises(UserError, match="remove it and log in again"):
            logins.all()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("HTTP://Box.example:8420/", "http://box.example:8420"),
        ("https://x.example/thaw/?a=1#b", "https://x.example/thaw"),
        ("http://[::1]:8420", "http://[::1]:8420"),
    ],
)
def test_one_server_has_one_url(given: str, url: str) -> None:
    assert server_url(given) == url


@pytest.mark.parametrize(
    "given",
    ["gpu-box", "ftp://x", "http://", "file:///etc", "http://[", "http://x:port", "https://anna:secret@x.example"],
)
def test_what_is_no_url_is_refused(given: str) -> None:
    with pytest.raises(UserError) as refused:
        server_url(given)
    assert "secret" not in str(refused.value)


def test_tokens_on_unencrypted_networks_are_noticed() -> None:
    assert is_open_to_listeners("http://gpu-box:8420")
    assert not is_open_to_listeners("http://localhost:8420")
    assert not is_open_to_listeners("https://gpu-box")
