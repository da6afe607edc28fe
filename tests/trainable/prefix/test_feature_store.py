from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_data import small_dataset

from trainable.data import cache as caching
from trainable.data.cache import cache_folder, drop_entry, held_bytes
from trainable.prefix import store
from trainable.prefix.keys import PLAIN, FeatureKey, feature_key
from trainable.prefix.shelf import Origin
from trainable.prefix.store import Entry, forget_entry, open_entry

IMAGES = 50
ORIGIN = Origin("resnet18", ("1", "2", "3", "4", "5"), "neck")
KEY = feature_key(small_dataset(), ORIGIN, 2, PLAIN, torch.device("cpu"))
SOME = np.array([3, 4, 5, 9, 40])
DAY = 24 * 3600


def key_of(name: str) -> FeatureKey:
    return dataclasses.replace(KEY, images=name)


def rows_of(images: np.ndarray, width: int = 8) -> np.ndarray:
    """Rows that tell which image they are of."""
    return (images[:, None, None] + np.linspace(0, 0.5, 2 * width).reshape(2, width)).astype(np.float32)


def opened(key: FeatureKey = KEY) -> Entry:
    entry = open_entry(cache_folder(), key, IMAGES)
    assert entry is not None
    return entry


def opened_by_another_process(key: FeatureKey = KEY) -> Entry:
    store._ENTRIES.clear()
    return opened(key)


def filled(key: FeatureKey = KEY, images: np.ndarray = SOME, seconds_per_image: float = 1.0, width: int = 8) -> Entry:
    entry, rows = opened(key), rows_of(images, width)
    assert entry.create(rows, key, seconds_per_image)
    entry.write(images, rows)
    return entry


@pytest.mark.parametrize("open_it", [opened, opened_by_another_process])
def test_what_was_written_is_read(open_it: Callable[[], Entry]) -> None:
    everything = np.arange(IMAGES)
    assert opened().missing(everything).tolist() == everything.tolist()
    filled()
    entry = open_it()
    assert entry.missing(everything).tolist() == np.setdiff1d(everything, SOME).tolist()
    assert not len(entry.missing(SOME[::-1]))
    assert np.array_equal(entry.read(SOME[::-1]), rows_of(SOME[::-1]))


def test_what_another_process_writes_is_seen() -> None:
    first, second = filled(), opened_by_another_process()
    assert first is not second
    second.write(np.array([7, 8]), rows_of(np.array([7, 8])))
    assert first.missing(np.array([6, 7, 8])).tolist() == [6]
    assert np.array_equal(first.read(np.array([8])), rows_of(np.array([8])))


def test_rows_of_images_that_nobody_computed_take_no_room() -> None:
    entry = filled(images=np.array([20_000 % IMAGES]), width=100_000)
    file = entry.folder / "features.npy"
    assert file.stat().st_size > IMAGES * 800_000
    assert file.stat().st_blocks * 512 < 2 * 800_000


@pytest.mark.parametrize("damage", ["changed", "lost"])
def test_a_row_that_is_not_whole_is_missing(damage: str) -> None:
    """A changed byte; a power cut that kept the checksum and lost the row."""
    file = filled().folder / "features.npy"
    place = file.stat().st_size - (IMAGES - 9) * 64
    with file.open("r+b") as damaged:
        damaged.seek(place)
        row = damaged.read(64)
        damaged.seek(place)
        damaged.write(bytes(64) if damage == "lost" else bytes([row[0] ^ 1]))
    entry = opened_by_another_process()
    assert entry.missing(SOME).tolist() == [9]
    entry.write(np.array([9]), rows_of(np.array([9])))
    assert not len(opened_by_another_process().missing(SOME))


@pytest.mark.parametrize("length", [0, 20, 128, 1000])
def test_a_file_of_rows_that_was_cut_off_is_begun_anew(length: int) -> None:
    os.truncate(filled().folder / "features.npy", length)
    entry = opened_by_another_process()
    assert entry.missing(SOME).tolist() == SOME.tolist()
    assert entry.create(rows_of(SOME), KEY, 1.0)
    entry.write(SOME, rows_of(SOME))
    assert np.array_equal(entry.read(SOME), rows_of(SOME))


def test_a_row_without_a_checksum_is_missing() -> None:
    """What a builder leaves that is killed between the two."""
    entry = filled()
    with (entry.folder / "done").open("r+b") as marks:
        marks.seek(9 * 8)
        marks.write(bytes(8))
    assert opened_by_another_process().missing(SOME).tolist() == [9]


def test_an_entry_can_be_dropped_under_its_readers() -> None:
    entry = filled()
    drop_entry(entry.folder)
    assert not list((cache_folder() / "features").iterdir())
    assert np.array_equal(entry.read(SOME), rows_of(SOME))
    assert opened().missing(SOME).tolist() == SOME.tolist()  # a new one


def bound(monkeypatch: pytest.MonkeyPatch, entries: float, entry: Entry) -> None:
    monkeypatch.setenv("THAW_CACHE_GIB", str(entries * held_bytes(entry.folder) / 2**30))


def used(entry: Entry, days_ago: float) -> None:
    then = (entry.folder / "done").stat().st_mtime - days_ago * DAY
    os.utime(entry.folder / "done", (then, then))


def test_what_another_process_has_begun_is_not_dropped_for_one_s_own_measurement() -> None:
    begun = filled()
    beside = Entry(begun.folder, IMAGES)  # as another process has it
    assert beside.create(rows_of(SOME), KEY, 1.0)
    forget_entry(beside)
    assert not begun.dropped
    forget_entry(begun)
    assert begun.dropped


def test_the_least_valuable_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Valuable is what took long for its size, and has been used of late."""
    dear, old, cheap = filled(key_of("dear"), seconds_per_image=8), filled(key_of("old"), seconds_per_image=8), filled()
    used(old, days_ago=2)  # half and half again: worth 2
    bound(monkeypatch, 3.2, dear)
    filled(key_of("new"), seconds_per_image=3)
    assert (dear.dropped, old.dropped, cheap.dropped) == (False, False, True)
    filled(key_of("newer"), seconds_per_image=9)
    assert (dear.dropped, old.dropped) == (False, True)
    assert np.array_equal(cheap.read(SOME), rows_of(SOME))


def test_nothing_more_valuable_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [filled(key_of(str(number)), seconds_per_image=2) for number in range(3)]
    bound(monkeypatch, 3.2, kept[0])
    entry = opened(key_of("cheap"))
    assert not entry.create(rows_of(SOME), key_of("cheap"), seconds_per_image=1)
    assert not entry.begun
    assert not any(other.dropped for other in kept)


def test_nothing_is_dropped_for_what_would_not_fit_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    small = filled(seconds_per_image=1e-9)
    bound(monkeypatch, 2, small)
    assert not opened(key_of("large")).create(rows_of(SOME, 8000), key_of("large"), seconds_per_image=1e9)
    assert not small.dropped


def test_what_a_killed_process_was_dropping_goes_first() -> None:
    doomed = filled().folder.rename(cache_folder() / "features" / ".half-dropped")
    assert caching.worth(doomed) == 0.0
    assert caching.drop_features(cache_folder(), 1, worth_less_than=1e-12)
    assert not doomed.exists()


def test_readers_need_no_right_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    filled()
    really = os.open

    def read_only(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, "Read-only file system")
        return really(path, flags, *more)

    monkeypatch.setattr(os, "open", read_only)
    assert np.array_equal(opened_by_another_process().read(SOME), rows_of(SOME))


def test_the_key_is_beside_the_features() -> None:
    import json

    facts = json.loads((filled(seconds_per_image=2).folder / "key.json").read_text())
    assert facts["backbone"] == "resnet18"
    assert facts["seconds_per_byte"] == 2 / 64


def test_claims_are_counted_and_given_back() -> None:
    entry = opened()
    mine = entry.claim(np.arange(10), 4)
    assert mine.tolist() == [0, 1, 2, 3]
    entry.release(mine)
    entry.wait(0)
