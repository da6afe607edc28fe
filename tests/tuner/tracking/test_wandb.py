"""What Weights & Biases writes without a server, read back from its own files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from small_logs import Told, show, whole_search
from wandb.proto.wandb_internal_pb2 import Record

from tuner.tracking import wandb as room
from tuner.tracking.protocol import UnreachableError
from tuner.tracking.wandb import WANDB

_BLOCK = 32768


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONFIG_DIR", "CACHE_DIR", "DATA_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / "of_wandb"))
    for name in ("API_KEY", "BASE_URL", "PROJECT"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    """The process that wandb keeps beside this one ends with these tests."""
    yield
    wandb.teardown()


class Run:
    """A run as its file tells it."""

    def __init__(self, file: Path) -> None:
        self.name = self.group = ""
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.exit_code: int | None = None
        for record in map(Record.FromString, _records(file.read_bytes())):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.name, self.group = record.run.display_name, record.run.run_group
                self.config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "summary":
                self.summary |= _plain(record.summary.update)
            elif kind == "history":
                self.rows.append(_plain(record.history.item))
            elif kind == "exit":
                self.exit_code = record.exit.exit_code

    def curve(self, metric: str) -> dict[int, float]:
        assert len({row["_step"] for row in self.rows}) == len(self.rows)
        return {row["_step"]: row[metric] for row in self.rows}


def _plain(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(log: bytes) -> Iterator[bytes]:
    """Of LevelDB's log format, after a header of 7 bytes: https://github.com/google/leveldb/blob/main/doc/log_format.md."""
    position, record = 7, b""
    while position + 7 <= len(log):
        if _BLOCK - position % _BLOCK < 7:
            position += _BLOCK - position % _BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", log, position)
        record += log[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def runs(told: Told) -> dict[str, Run]:
    found = [Run(file) for file in (told.store.folder / "tracking").rglob("run-*.wandb")]
    named = {run.name: run for run in found}
    assert len(named) == len(found)
    return named


@pytest.mark.real
def test_each_trial_is_a_run_in_the_group_of_its_search(tmp_path: Path) -> None:
    told = whole_search(tmp_path)
    (told.store.folder / "leaderboard.md").write_text("# birds\n")
    cursor = show(told, WANDB, finish=True)
    found = runs(told)
    assert {name: run.exit_code for name, run in found.items()} == {
        "birds": 0,
        "t0001-lite0": 0,
        "t0002-lite0": 0,
        "t0003-lite0": 1,
        "t0004-lite0": 0,
    }
    assert {run.group for run in found.values()} == {"birds"}
    first = found["t0001-lite0"]
    assert (first.config["head.kind"], first.config["optimizer.lr"]) == ("mlp", 1e-3)
    assert first.curve("f2_macro/val") == {1: 0.25, 2: 0.5}
    assert first.curve("loss/train") == {1: 0.5, 2: 0.25}
    assert (first.summary["f2_macro"], first.summary["test_f2_macro"]) == (0.5, 0.375)
    assert found["t0003-lite0"].summary["why"] == "CUDA out of memory"
    assert found["birds"].summary["best"] == "t0004"
    assert next((told.store.folder / "tracking").rglob("leaderboard.md")).read_text() == "# birds\n"
    assert cursor.links.trials == {}  # nothing that a browser could open


@pytest.mark.real
def test_what_a_killed_process_had_not_noted_is_there_once(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.epochs(told.start(1), {1: 0.25, 2: 0.5})
    told.end("t0001")
    show(told, WANDB, killed=True)
    show(told, WANDB)
    files = {file: file.stat().st_mtime_ns for file in (told.store.folder / "tracking").rglob("*.wandb")}
    show(told, WANDB)  # of nothing new, all trials are named
    assert {file: file.stat().st_mtime_ns for file in (told.store.folder / "tracking").rglob("*.wandb")} == files
    assert runs(told)["t0001-lite0"].curve("f2_macro/val") == {1: 0.25, 2: 0.5}


@pytest.mark.real
def test_a_resumed_search_has_whole_runs(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.epochs(told.start(1), {1: 0.25, 2: 0.5})
    told.end("t0001", "paused")
    told.finish("stopped", "interrupted")
    show(told, WANDB)
    told.store.append("search_resumed", trials=3, changes=[])
    told.store.append("trial_resumed", "t0001", reason="resumed")
    told.epochs("t0001", {2: 0.625, 3: 0.75})
    told.end("t0001")
    show(told, WANDB, at_most=1)
    run = runs(told)["t0001-lite0"]
    assert run.curve("f2_macro/val") == {1: 0.25, 2: 0.625, 3: 0.75}
    assert run.exit_code == 0


def test_without_a_key_it_is_offline_and_only_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_MODE")
    assert not WANDB.is_configured()
    assert WANDB.reach() == ""
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password open-sesame\n")
    assert WANDB.is_configured()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert not WANDB.is_configured()


def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "open-sesame")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:1: .*refused"):
        WANDB.reach()


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UnreachableError, match=r"pip install 'thaw-tuner\[wandb\]'"):
        WANDB.reach()
