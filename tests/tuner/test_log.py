from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tuner.log import Event, OpenLog, read_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[OpenLog]:
    with closing(OpenLog(path)) as log:
        yield log


def write(log: OpenLog, text: object, durable: bool = False) -> Event:
    return log.write({"kind": "note"}, {"text": text}, durable)


def test_events_are_strict_json(log: OpenLog, path: Path) -> None:
    given = {"value": float("nan"), "val": {"a": float("inf"), "b": np.float32(0.5)}, "at": Path("x"), "n": [[]]}
    written = log.write({"kind": "epoch"}, given, durable=False)
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == written
    expected = {"value": None, "val": {"a": None, "b": 0.5}, "at": "x", "n": [[]]}
    assert {name: written[name] for name in given} == expected


def test_an_events_own_fields_cannot_be_given(log: OpenLog) -> None:
    with pytest.raises(ValueError, match="seq"):
        log.write({"kind": "note"}, {"seq": 7}, durable=False)


def test_what_cannot_be_stored_leaves_nothing_behind(log: OpenLog, path: Path) -> None:
    with pytest.raises(TypeError):
        write(log, object())
    assert write(log, "fine")["seq"] == 1
    assert len(list(read_log(path, []))) == 1


def test_a_full_disk_leaves_no_half_line(log: OpenLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("no space left")

    write(log, "before")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            write(log, "lost", durable=True)
    write(log, "after")
    assert [(event["seq"], event["text"]) for event in read_log(path, [])] == [(1, "before"), (2, "after")]


def test_a_corrupt_line_in_the_middle_is_skipped_and_named(path: Path) -> None:
    for text in ("one", "two"):
        with closing(OpenLog(path)) as log:
            last = write(log, text)
        if text == "one":
            with path.open("ab") as file:
                file.write(b'\x00\xff{"kind"\n[1]\n\n')
    warnings: list[str] = []
    assert [event["text"] for event in read_log(path, warnings)] == ["one", "two"]
    assert last["seq"] == 2
    assert warnings == [f"{path}, line {number}: not a JSON object, skipped" for number in (2, 3, 4)]


def test_the_count_goes_on_after_a_line_longer_than_one_read(path: Path) -> None:
    with closing(OpenLog(path)) as log:
        write(log, "x" * 200_000)
    with path.open("ab") as file:
        file.write(b'{"half": "' + b"y" * 100_000)
    with closing(OpenLog(path)) as log:
        assert write(log, "next")["seq"] == 2
    assert len(list(read_log(path, []))) == 2
