from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import MakeImages

from trainable.data import prepared
from trainable.data.cache import cache_folder, cache_limit_bytes
from trainable.data.prepared import (
    Scan,
    Scanned,
    open_images,
    scan_images,
    set_key,
)
from trainable.errors import UserError

NAMES = ("a.png", "b.png", "c.png")


def paths_in(root: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(root.glob("*.png"))}


def scan(root: Path, cache: Path, *sizes: int) -> Scan:
    return scan_images(paths_in(root), sizes or (4,), cache, workers=2)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sizes of every call of `decode`."""
    calls: list[tuple[int, ...]] = []
    real = prepared.decode

    def counting(data: bytes, sizes: list[int]) -> object:
        calls.append(tuple(sizes))
        return real(data, sizes)

    monkeypatch.setattr(prepared, "decode", counting)
    return calls


def test_each_content_is_decoded_once_for_all_sizes(
    images: MakeImages, tmp_path: Path, decoded: list[tuple[int, ...]]
) -> None:
    root = images(*NAMES)
    shutil.copy(root / "a.png", root / "twin.png")
    found = scan(root, tmp_path, 8, 4)
    assert decoded == [(4, 8)] * 3
    assert found.images["twin.png"] == found.images["a.png"]
    assert found.images["a.png"] == Scanned(
        hashlib.sha256((root / "a.png").read_bytes()).hexdigest(), 6, 4, "RGB", None
    )
    assert scan(root, tmp_path, 8, 4) == found
    assert len(decoded) == 3
    with open_images(found.sha256s.values(), 8, tmp_path) or pytest.fail("not prepared") as opened:
        assert opened.array.shape == (3, 8, 8, 3)
        expected = Image.open(root / "b.png").resize((8, 8), Image.Resampling.BICUBIC)
        assert np.array_equal(opened.array[opened.positions[found.sha256s["b.png"]]], np.asarray(expected))
        assert list(opened.positions) == sorted(set(found.sha256s.values()))


def test_a_new_size_is_decoded_alone(images: MakeImages, tmp_path: Path, decoded: list[tuple[int, ...]]) -> None:
    root = images(*NAMES)
    first = scan(root, tmp_path, 4)
    assert scan(root, tmp_path, 4, 6).key == first.key
    assert decoded == [(4,)] * 3 + [(6,)] * 3


def test_a_changed_image_is_a_new_entry(images: MakeImages, tmp_path: Path, decoded: list[tuple[int, ...]]) -> None:
    root = images(*NAMES)
    first = scan(root, tmp_path)
    stamp = (root / "a.png").stat()
    Image.new("RGB", (6, 4), "red").save(root / "a.png")
    os.utime(root / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = scan(root, tmp_path)
    assert second.key != first.key
    assert second.sha256s["b.png"] == first.sha256s["b.png"]
    assert len(decoded) == 6


def test_unreadable_and_missing_images_are_reported_and_never_opened(images: MakeImages, tmp_path: Path) -> None:
    root = images(*NAMES)
    (root / "b.png").write_bytes((root / "b.png").read_bytes()[:-40])
    paths = {**paths_in(root), "gone.png": root / "gone.png", "folder": root}
    found = scan_images(paths, [4], tmp_path)
    assert found.unreadable.keys() == {"b.png", "gone.png", "folder"}
    assert found.unreadable["gone.png"] == "missing"
    assert "cannot be opened" in found.unreadable["folder"]
    assert (found.images["gone.png"].sha256, found.images["b.png"].width) == (None, 6)
    assert open_images(found.sha256s.values(), 4, tmp_path) is None
    readable = [found.sha256s["a.png"], found.sha256s["c.png"]]
    with open_images(readable, 4, tmp_path) or pytest.fail(
        "not prepared"
    ) as opened:  # the larger entry serves the rest
        assert found.sha256s["b.png"] not in opened.positions
        assert opened.array.shape[0] == 3


def test_another_recipe_is_a_miss(images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = scan(images(*NAMES), tmp_path)
    monkeypatch.setattr(prepared, "FORMAT", 2)
    assert open_images(found.sha256s.values(), 4, tmp_path) is None
    assert open_images([found.sha256s["a.png"]], 4, tmp_path) is None


def test_nothing_that_can_be_opened(tmp_path: Path) -> None:
    found = scan_images({"a": tmp_path / "a"}, [4], tmp_path)
    assert (found.key, found.unreadable) == ("", {"a": "missing"})
    assert open_images(["0" * 64], 4, tmp_path) is None


def scan_slowly(root: Path, cache: Path, log: Path) -> None:
    """For another process: note each decoding in `log`, slowly."""
    real = prepared.decode

    def noting(data: bytes, sizes: list[int]) -> object:
        with log.open("a") as file:
            file.write("x")
        time.sleep(0.1)
        return real(data, sizes)

    prepared.decode = noting  # type: ignore[assignment]
    scan(root, cache)


def test_processes_that_start_together_decode_once(images: MakeImages, tmp_path: Path) -> None:
    root, log = images(*NAMES), tmp_path / "log"
    spawn = multiprocessing.get_context("fork")
    processes = [spawn.Process(target=scan_slowly, args=(root, tmp_path / "cache", log)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "xxx"


def test_a_killed_builder_leaves_nothing_that_is_read(images: MakeImages, tmp_path: Path) -> None:
    root, cache, log = images(*NAMES), tmp_path / "cache", tmp_path / "log"
    process = multiprocessing.get_context("fork").Process(target=scan_slowly, args=(root, cache, log))
    process.start()
    while not log.exists():
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(20)
    shas = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths_in(root).values()]
    entry = cache / "images" / set_key(shas)
    assert [file.name for file in entry.iterdir()] == ["4.npy.tmp"]
    assert open_images(shas, 4, cache) is None
    (entry / "8.npy.tmp").touch()  # of yet another one
    scan(root, cache)
    assert sorted(file.name for file in entry.iterdir()) == ["4.npy", "scan.json"]


def test_the_longest_unused_entry_goes_first_and_never_one_in_use(
    images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = images(*NAMES)
    entry_bytes = 32 * 32 * 3
    monkeypatch.setenv("THAW_CACHE_GIB", str(3.5 * entry_bytes / 2**30))

    def prepare(name: str, day: int) -> str:
        found = scan_images({name: root / name}, [32], tmp_path)
        os.utime(tmp_path / "images" / f"{found.key}.use", (day * 86400, day * 86400))
        return found.sha256s[name]

    first, second = prepare("a.png", 1), prepare("b.png", 2)
    with open_images([first], 32, tmp_path) or pytest.fail("not prepared") as opened:
        os.utime(tmp_path / "images" / f"{set_key([first])}.use", (0, 0))  # the oldest, but in use
        third = prepare("c.png", 3)
        monkeypatch.setenv("THAW_CACHE_GIB", str(2.5 * entry_bytes / 2**30))
        scan_images({"c.png": root / "c.png"}, [33], tmp_path)
        held = {entry.name for entry in (tmp_path / "images").glob("*/")}
        assert held == {set_key([first]), set_key([third])}
        assert opened.array.shape == (1, 32, 32, 3)
    assert open_images([second], 32, tmp_path) is None
    scan_images({"b.png": root / "b.png"}, [32], tmp_path)
    assert open_images([first], 32, tmp_path) is None


def test_features_make_room_for_images(images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as many as it takes, and before any images."""
    root = images(*NAMES)
    entry_bytes = 32 * 32 * 3
    scan_images({"a.png": root / "a.png"}, [32], tmp_path)
    for name, seconds_per_byte in (("dear", 2), ("cheap", 1)):
        features = tmp_path / "features" / name
        features.mkdir(parents=True)
        (features / "done").write_bytes(bytes(entry_bytes))
        (features / "key.json").write_text(json.dumps({"seconds_per_byte": seconds_per_byte}))
    monkeypatch.setenv("THAW_CACHE_GIB", str(3.5 * entry_bytes / 2**30))
    for size, left in ((32, {"dear"}), (33, set())):
        scan_images({"b.png": root / "b.png"}, [size], tmp_path)
        assert {entry.name for entry in (tmp_path / "features").iterdir()} == left
        assert len(list((tmp_path / "images").glob("*/"))) == 2


def test_a_full_disk_is_the_users_to_settle(
    images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match="THAW_CACHE to a larger disk"):
        scan(images("a.png"), tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_file_that_changes_meanwhile(images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = images("a.png")
    monkeypatch.setattr(prepared, "_sha256", lambda _: "0" * 64)
    with pytest.raises(UserError, match="changed while"):
        scan(root, tmp_path)


def test_where_the_cache_is_and_what_it_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THAW_CACHE", raising=False)
    monkeypatch.delenv("THAW_CACHE_GIB", raising=False)
    assert cache_folder().name == "thaw"
    assert cache_limit_bytes() == 50 * 2**30
    monkeypatch.setenv("THAW_CACHE", "/fast/thaw")
    assert cache_folder() == Path("/fast/thaw")
    for given in ("0", "-1", "much", "nan"):
        monkeypatch.setenv("THAW_CACHE_GIB", given)
        with pytest.raises(UserError, match="THAW_CACHE_GIB"):
            cache_limit_bytes()
