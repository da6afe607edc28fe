from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from faulty_store import FaultyFileSystem

from trainable.errors import UserError
from tuner.storage.objects import StorageError, open_objects


def test_objects_are_written_read_listed_and_dropped(results: str, tmp_path: Path) -> None:
    objects = open_objects(results)
    objects.put("a/1", b"one")
    (tmp_path / "two").write_bytes(b"two")
    version = objects.upload(tmp_path / "two", "a/2")
    found = objects.listed()
    assert {name: objects.get(name) for name in found} == {"a/1": b"one", "a/2": b"two"}
    assert found["a/2"].version == version
    assert list(objects.listed("a/1")) == ["a/1"]
    assert objects.listed("b") == {}
    assert objects.get_all(["a/2", "a/1"]) == [b"two", b"one"]
    assert objects.folders() == ["a"]
    objects.remove(["a/1", "never"])
    assert (objects.has("a/1"), objects.has("a/2")) == (False, True)
    with pytest.raises(FileNotFoundError):
        objects.get("a/1")


def test_what_is_there_is_not_created_again(results: str) -> None:
    objects = open_objects(results)
    assert objects.create("x", b"mine")
    assert not objects.create("x", b"yours")
    assert objects.get("x") == b"mine"


def test_creating_knows_its_own_object_where_the_answer_was_lost(faulty: FaultyFileSystem) -> None:
    objects = open_objects("faulty://lost/results")
    faulty.fault = lambda operation, _: OSError("reset") if operation == "after pipe_file" else None
    assert objects.create("x", b"mine")
    assert not objects.create("x", b"yours")


def test_what_passes_is_waited_for(faulty: FaultyFileSystem) -> None:
    left = [OSError("503"), TimeoutError()]
    faulty.fault = lambda operation, _: left.pop() if left and operation == "pipe_file" else None
    with pytest.raises(StorageError, match=r"^faulty://b/r: cannot be reached \(TimeoutError\)"):
        open_objects("faulty://b/r").put("x", b"")
    replace(open_objects("faulty://b/r"), patience_seconds=60).put("x", b"")
    assert not left


def test_a_refusal_is_told_at_once(faulty: FaultyFileSystem) -> None:
    faulty.fault = lambda *_: PermissionError("Forbidden")
    with pytest.raises(StorageError, match=r"access is denied \(Forbidden\)"):
        replace(open_objects("faulty://b/r"), patience_seconds=3600).get("x")


@pytest.mark.parametrize(("url", "said"), [("ftpp://x/y", "Protocol not known: ftpp; give a folder, s3://")])
def test_what_cannot_be_opened_is_said_in_a_line(url: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_objects(url)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpacked(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", unpacked)
    with pytest.raises(UserError, match=r"s3://b/r: .* not installed; pip install 'thaw-tuner\[s3\]'"):
        open_objects("s3://b/r")
