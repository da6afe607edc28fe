"""Data and weights are brought whole, once, and refused clearly."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from trainable.errors import UserError
from tuner.cluster.bring import bring, main

FILES = {"a.txt": b"one", "deep/er/b.bin": b"\0" * 1000, "deep/c d.txt": b""}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        place = tmp_path / "source" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return tmp_path / "source"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_brought_as_it_is(source: Path, tmp_path: Path) -> None:
    done = bring(str(source), tmp_path / "target")
    assert contents(tmp_path / "target") == FILES
    assert (done.files, done.bytes, done.were_there) == (3, 1003, 0)


def test_one_file_is_brought_into_the_folder(source: Path, tmp_path: Path) -> None:
    bring(str(source / "deep" / "er" / "b.bin"), tmp_path / "target")
    assert list(contents(tmp_path / "target")) == ["b.bin"]


def test_urls_are_sources(source: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(source), "/bucket/data", recursive=True)
    try:
        bring("memory://bucket/data", tmp_path / "target")
        assert contents(tmp_path / "target") == FILES
        assert bring("memory://bucket/data", tmp_path / "target").files == 0
    finally:
        memory.rm("/bucket", recursive=True)


def test_only_what_is_missing_or_changed_is_brought(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    bring(str(source), target)
    (target / "a.txt").unlink()
    (source / "deep" / "c d.txt").write_bytes(b"longer")
    same_size = source / "deep" / "er" / "b.bin"
    same_size.write_bytes(b"\1" * 1000)
    os.utime(same_size, (1, 1))
    (target / "own.txt").write_bytes(b"kept")
    assert bring(str(source), target).files == 3
    assert contents(target) == contents(source) | {"own.txt": b"kept"}
    assert bring(str(source), target).files == 0


def test_a_call_that_broke_off_is_gone_on_with(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = LocalFileSystem.get_file

    def break_off(self: LocalFileSystem, path: str, place: str, **given: object) -> None:
        if path.endswith("b.bin"):
            Path(place).write_bytes(b"half")
            raise OSError("connection reset")
        fetch(self, path, place, **given)

    monkeypatch.setattr(LocalFileSystem, "get_file", break_off)
    with pytest.raises(UserError, match=r"broke off .connection reset.; the next call goes on"):
        bring(str(source), tmp_path / "target")
    assert not (tmp_path / "target" / "deep" / "er" / "b.bin").exists()
    monkeypatch.undo()
    bring(str(source), tmp_path / "target")
    assert contents(tmp_path / "target") == FILES | {"deep/er/b.bin": FILES["deep/er/b.bin"]}


def test_a_source_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "target")]) == 2
    said = capsys.readouterr()
    assert said.err == f"error: {tmp_path / 'nowhere'}: there is nothing; check the bucket's or the folder's name\n"
    assert not (tmp_path / "target").exists()


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(UserError, match="s4://bucket: "):
        bring("s4://bucket", Path("target"))


class NoCredentialsError(Exception):
    """As botocore's."""


@pytest.mark.parametrize("error", [PermissionError("Forbidden"), NoCredentialsError("Unable to locate credentials")])
def test_missing_rights_are_told(error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(LocalFileSystem, "find", refuse)
    with pytest.raises(UserError, match="may not be read; give this machine rights"):
        bring(str(tmp_path), tmp_path / "target")


def test_a_disk_that_is_too_small_is_told_first(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(UserError, match=r"target: has 0\.0 GB free, and .* needs 0\.0 GB more"):
        bring(str(source), tmp_path / "target")
    assert contents(tmp_path / "target") == {}


@pytest.mark.real
def test_an_s3_bucket_is_a_source(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "nobody")
        s3 = fsspec.filesystem("s3", skip_instance_cache=True)
        s3.mkdir("bucket")
        s3.put(str(source), "bucket/data", recursive=True)
        fsspec.filesystem("s3").invalidate_cache()
        assert bring("s3://bucket/data", tmp_path / "target").files == 3
        assert contents(tmp_path / "target") == FILES
        assert bring("s3://bucket/data", tmp_path / "target").files == 0
        with pytest.raises(UserError, match="s3://no-bucket/data: there is nothing"):
            bring("s3://no-bucket/data", tmp_path / "target")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        fsspec.filesystem("s3").clear_instance_cache()
        with pytest.raises(UserError, match="may not be read"):
            bring("s3://bucket/data", tmp_path / "target")
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        server.stop()
