"""Tokens made, listed and revoked beside the service's database."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_searches import RunTuner


def test_a_token_is_told_once(run_tuner: RunTuner, tmp_path: Path) -> None:
    of = ("--results", tmp_path)
    assert run_tuner("token", "ls", *of).out.startswith("no tokens: ")
    text = run_tuner("token", "create", "ada", "--scope", "read", "--days", 30, *of).out.strip()
    assert text.startswith("thaw_")
    assert len(text) == len("thaw_") + 43  # 256 bits
    database = (tmp_path / ".service" / "service.db").read_bytes()
    assert text.encode() not in database
    assert text.removeprefix("thaw_").encode() not in database
    listed = run_tuner("token", "ls", *of).out
    id, user, scope, *_ = listed.splitlines()[-1].split()
    assert (user, scope) == ("ada", "read")
    assert text not in listed
    assert run_tuner("token", "revoke", id, *of).out == f"token {id} of ada is revoked\n"
    assert "revoked 20" in run_tuner("token", "ls", *of).out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "a b"), "user 'a b': up to 100 letters"),
        (("create", "ada", "--scope", "root"), "'root' is not one of"),
        (("create", "ada", "--days", "0"), "--days"),
        (("revoke", "none"), "there is no token 'none'; see `tuner token ls`"),
    ],
)
def test_mistakes_are_one_line(run_tuner: RunTuner, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    ran = run_tuner("token", *arguments, "--results", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert told in line
