"""A search that is handed to a cluster of one node, through its dashboard, and looked after from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_heads import SmallHead, small_head
from small_searches import ROOT, MakeSpace, Ran

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def head() -> Iterator[SmallHead]:
    folder = Path(tempfile.mkdtemp(prefix="head-", dir="/tmp"))  # short: sockets lie in it
    try:
        with small_head(folder) as head:
            yield head
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tuner(*arguments: object, **environment: str) -> Ran:
    """The command in a process of its own, as on a laptop."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "THAW_RESULTS"))}
    command = [sys.executable, "-m", "tuner.cli", *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, env=own | environment, capture_output=True, text=True, timeout=120)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def test_a_search_is_submitted_followed_and_listed(head: SmallHead, make_space: MakeSpace, labels_csv: Path) -> None:
    there = ("--cluster", head.url)
    options = ("--data", labels_csv, "--name", "birds", "--trials", 2, "--top", 1)
    submitted = tuner("submit", make_space(), *options, *there)
    assert (submitted.code, submitted.err) == (0, "")
    followed = tuner("logs", "birds", "--follow", *there)
    assert (followed.code, followed.err) == (0, ""), followed.out
    assert followed.out.startswith("search birds: up to 2 trials of space")
    assert "search complete" in followed.out
    listed = tuner("ls", "--json", *there)
    ((name, status),) = [(search["name"], search["status"]) for search in json.loads(listed.out)]
    assert (name, status) == ("birds", "complete")
    assert (head.home / "results" / "birds" / "best.yaml").exists()


def test_what_a_search_refuses_there_is_told_here(head: SmallHead) -> None:
    ran = tuner("submit", "quick", "--data", "/nowhere", "--name", "bad", "--follow", "--cluster", head.url)
    assert ran.code == 2
    assert ran.out.splitlines()[-1].startswith("error: /nowhere: no such file or folder")


def test_who_has_a_token_joins_a_cluster_that_asks_for_none(
    head: SmallHead, make_space: MakeSpace, labels_csv: Path, tmp_path: Path
) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("ab" * 32)
    where = ("--data", labels_csv, "--results", tmp_path / "results", "--name", "joined", "--address", head.address)
    ran = tuner("search", make_space(), *where, "--trials", 1, HOME=str(tmp_path))
    assert ran.code == 0, ran.err
    assert "search complete" in ran.out
