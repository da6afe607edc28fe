"""The process that looks after Ray: started, found again, started anew; with a small one in its place."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from service_rows import NOON

from tuner.processes import process_id, stored_process_id
from tuner.service.engine.kept_ray import KeptRay
from tuner.service.engine.ray_there import Cluster

_KEEPER = """
import json, os, signal, sys
from pathlib import Path
from tuner.processes import process_id
folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
facts = {"address": options.get("address", "127.0.0.1:1"), "life": str(os.getpid()), "cpus": 2.0, "gpus": 0.0}
(folder / "new").write_text(json.dumps(facts | {"process": process_id(os.getpid()).plain}))
(folder / "new").rename(folder / "facts.json")
signal.pause()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "ray"
    KeptRay(tmp_path / "ray").close()


def _kept(folder: Path, address: str | None = None) -> KeptRay:
    return KeptRay(folder, address, {"num_cpus": 2}, [sys.executable, "-c", _KEEPER])


def _there(kept: KeptRay, now: datetime = NOON) -> Cluster:
    until = time.monotonic() + 60
    while (cluster := kept.look(now)) is None:
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    return cluster


def _kill(folder: Path) -> None:
    known = stored_process_id(json.loads((folder / "facts.json").read_text())["process"])
    os.kill(known.number, signal.SIGKILL)
    until = time.monotonic() + 60
    while known.lives and time.monotonic() < until:
        time.sleep(0.02)


def test_it_is_started_with_a_token_of_its_own(folder: Path) -> None:
    kept = _kept(folder)
    assert kept.look(NOON) is None
    assert kept.problem == "Ray is being started"
    cluster = _there(kept)
    assert (cluster.address, cluster.cpus, kept.problem, kept.restarts) == ("127.0.0.1:1", 2.0, "", 0)
    token = Path(kept.environment["RAY_AUTH_TOKEN_PATH"])
    assert len(token.read_text()) == 64
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_the_next_server_finds_it(folder: Path) -> None:
    cluster = _there(_kept(folder))
    later = _kept(folder)
    assert later.look(NOON) == cluster
    later.close()
    after = _kept(folder)
    assert after.look(NOON) is None
    after.close()


def test_one_that_dies_is_started_again_the_later_the_more_often(folder: Path) -> None:
    kept = _kept(folder)
    first = _there(kept)
    _kill(folder)
    assert kept.look(NOON + timedelta(seconds=1)) is None, "not at once"
    second = _there(kept, NOON + timedelta(minutes=5))
    assert second.id != first.id
    assert kept.restarts == 1


def test_a_number_that_was_given_to_another_process_is_no_ray(folder: Path) -> None:
    folder.mkdir()
    own = process_id(os.getpid())
    assert own is not None
    known = {**own.plain, "started": "1"}
    (folder / "facts.json").write_text(json.dumps({"address": "127.0.0.1:9", "life": "old", "process": known}))
    assert _there(_kept(folder)).address == "127.0.0.1:1"


def test_a_cluster_that_is_there_is_joined_with_the_users_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:1")
    kept = _kept(folder, "10.0.0.5:6379")
    assert _there(kept).address == "10.0.0.5:6379"
    assert kept.environment == {"RAY_AUTH_MODE": "token"}
    assert not (folder / "token").exists()
