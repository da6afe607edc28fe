"""`tuner login` and `tuner logout`: servers become known, and tokens stay where only their owner reads them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import platformdirs
import pytest
from small_searches import RunTuner

from tuner.client import connection

OPEN, ASKING = "http://127.0.0.1:8420", "https://gpu.example.org"


def answer(request: httpx.Request) -> httpx.Response:
    """Two servers: one takes everybody, the other asks for a token."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if request.url.host == "127.0.0.1":
        return httpx.Response(200, json={"name": "me", "scope": "admin"})
    if request.url.host == "gpu.example.org" and token == "thaw_ada":
        return httpx.Response(200, json={"name": "ada", "scope": "submit"})
    problem = {"title": "Unauthorized", "status": 401, "detail": "show a token that counts"}
    return httpx.Response(401, json=problem, headers={"content-type": "application/problem+json"})


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of known servers, of this test alone."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(connection, "new_http", lambda: httpx.Client(transport=httpx.MockTransport(answer)))
    return platformdirs.user_config_path("thaw") / "servers.json"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("thaw_ada\n")
    return tmp_path / "token"


def test_a_server_that_asks_for_no_token_needs_none(run_tuner: RunTuner, config: Path) -> None:
    ran = run_tuner("login", f"{OPEN}/")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"logged in to {OPEN} as me (admin); `--remote` now means this server\n"
    assert json.loads(config.read_text()) == {"servers": [{"url": OPEN}]}


def test_a_token_comes_from_a_file_or_a_pipe(
    run_tuner: RunTuner, config: Path, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_tuner("login", ASKING, "--token-file", token_file).out.startswith(
        f"logged in to {ASKING} as ada (submit)"
    )
    config.unlink()
    monkeypatch.setattr("sys.stdin", io.StringIO("thaw_ada\n"))
    ran = run_tuner("login", ASKING, "--token-file", "-")
    assert ran.code == 0
    assert json.loads(config.read_text()) == {"servers": [{"url": ASKING, "token": "thaw_ada"}]}
    assert "thaw_ada" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("thaw_wrong", "asks for a token that it knows"),
        ("", "a token is one word"),
        ("two words", "a token is one word"),
    ],
)
def test_a_wrong_token_is_not_kept(
    token: str, told: str, run_tuner: RunTuner, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(token))
    ran = run_tuner("login", ASKING)
    assert ran.code == 2
    assert told in ran.err
    assert not config.exists()
    assert not token or token not in ran.err


def test_a_token_in_the_clear_is_warned_of(run_tuner: RunTuner, token_file: Path) -> None:
    ran = run_tuner("login", "http://gpu.example.org", "--token-file", token_file)
    assert ran.code == 0
    assert "others on the network can read the token" in ran.err


def test_several_servers_and_a_default(run_tuner: RunTuner, token_file: Path) -> None:
    run_tuner("login", OPEN)
    run_tuner("login", ASKING, "--token-file", token_file)
    assert run_tuner("login").out.splitlines() == [OPEN, f"{ASKING} (default)"]
    assert run_tuner("logout").out == f"logged out of {ASKING}\n"
    assert run_tuner("login").out.splitlines() == [f"{OPEN} (default)"]
    assert run_tuner("logout", ASKING).code == 2


def test_without_a_login_a_command_says_how(run_tuner: RunTuner) -> None:
    ran = run_tuner("ls", "--remote")
    assert (ran.code, ran.err) == (2, "error: no server is known yet; `tuner login URL` makes one known\n")
    assert "no search" not in ran.out
    assert run_tuner("login").out == "no server is known yet; `tuner login URL` makes one known\n"
