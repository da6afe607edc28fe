"""Users limited and disabled beside the service's database."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_searches import RunTuner

from tuner.service.access.accounts import caller_with, find_user
from tuner.service.database.connection import open_database


def test_a_user_has_the_limits_that_were_given_last(run_tuner: RunTuner, tmp_path: Path) -> None:
    of = ("--results", tmp_path)
    assert run_tuner("user", "ls", *of).out == "no users yet\n"
    limited = run_tuner("user", "limit", "ben", "--max-running", 2, "--gpu-hours", 1.5, *of)
    assert limited.out == "user ben: 2 searches at once, 1.5 GPU hours\n"
    assert run_tuner("user", "ls", *of).out.splitlines()[-1].split() == ["ben", "2", "1.5"]
    assert run_tuner("user", "limit", "ben", "--gpu-hours", 0, *of).out == "user ben: 0 GPU hours\n"
    database = open_database(f"sqlite:///{tmp_path}/.service/service.db")
    with database.reading() as session:
        ben = find_user(session, "ben")
        assert (ben.max_running, ben.gpu_hours) == (None, 0.0)
    database.close()
    assert run_tuner("user", "limit", "ben", *of).out == "user ben: no limits\n"


def test_tokens_of_who_is_disabled_count_no_more(run_tuner: RunTuner, tmp_path: Path) -> None:
    of = ("--results", tmp_path)
    text = run_tuner("token", "create", "ben", *of).out.strip()
    database = open_database(f"sqlite:///{tmp_path}/.service/service.db")
    for verb, counts in (("disable", False), ("enable", True)):
        assert run_tuner("user", verb, "ben", *of).out.startswith(f"user ben is {verb}d")
        assert ("disabled" in run_tuner("user", "ls", *of).out) is not counts
        with database.reading() as session:
            row = find_user(session, "ben")
            assert (caller_with(session, text, row.created_at) is not None) is counts
    database.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("limit", "a b"), "user 'a b': up to 100 letters"),
        (("limit", "ada", "--max-running", "-1"), "--max-running"),
        (("disable", "ada"), "there is no user 'ada'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run_tuner: RunTuner, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    ran = run_tuner("user", *arguments, "--results", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert told in line
