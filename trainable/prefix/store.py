"""Features on this machine's disk: addressed by what they depend on, shared by processes, whole row by row.

<cache>/features/<key>/features.npy   a row for each image of the data set; what nobody has computed takes no room
<cache>/features/<key>/done           uint64 an image: 0 until its row is written, then 2^32 + the row's CRC-32
<cache>/features/<key>/key.json       what the features depend on, and the seconds that a byte of them took

A row's checksum is written after the row, and checked by each process before it uses the row for the first time. So
whatever a killed builder, a full disk or a power cut leaves, nothing of it is read as whole. Byte i of `done` is locked
by the process that computes image i, which is how processes share the work; the kernel lets go of the locks of a
process that has died, and two that compute the same row write the same bits.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from trainable.data.cache import COST, FEATURES, USED, alone, drop_entry, drop_features, excess_bytes
from trainable.prefix.keys import FeatureKey

Indices = npt.NDArray[np.int64]
Rows = npt.NDArray[Any]

_DONE = np.uint64(1 << 32)
_OPEN_AT_ONCE = 32
"""entries whose checked rows a process remembers"""


class Entry:
    """The features of one key, in this process. Raises OSError where the disk is full or cannot be written to."""

    def __init__(self, folder: Path, images: int) -> None:
        """Open an entry, which need not exist. Readers need no right to write."""
        self.folder = folder
        self.building = threading.Lock()
        """file locks do not keep a process's own threads apart"""
        self.begun_here = False
        """whether this process has made room for its rows"""
        self._images = images
        self._done_file = _open_sized(folder / USED, images * 8)
        weakref.finalize(self, self._done_file.close)
        done = np.memmap(folder / USED, "<u8", mode="r", shape=(images,))
        self._done: npt.NDArray[np.uint64] = done
        self._checked = np.zeros(images, dtype=bool)
        self._rows: np.memmap[tuple[int, ...], np.dtype[Any]] | None = None
        self._rows_file: IO[bytes] | None = None

    @property
    def dropped(self) -> bool:
        """Whether another process has removed it; what is open can still be read."""
        try:
            return (self.folder / USED).stat().st_ino != os.fstat(self._done_file.fileno()).st_ino
        except OSError:
            return True

    @property
    def begun(self) -> bool:
        """Whether someone has found it worth keeping, and made room for it."""
        return self._mapped() is not None

    def missing(self, images: Indices) -> Indices:
        """Those of the images whose rows are not there, or not whole."""
        unchecked = images[~self._checked[images]]
        if not len(unchecked):
            return unchecked
        rows = self._mapped()
        if rows is None:
            return unchecked
        marks = self._done[unchecked]
        for image, mark in zip(unchecked[marks != 0].tolist(), marks[marks != 0].tolist(), strict=True):
            self._checked[image] = mark == _mark(rows[image])
        return unchecked[~self._checked[unchecked]]

    def read(self, images: Indices) -> Rows:
        """Rows `[n, ...]` of images of which none is missing, copied."""
        rows = self._mapped()
        assert rows is not None  # none is missing
        return np.asarray(rows[images])

    def create(self, rows: Rows, key: FeatureKey, seconds_per_image: float) -> bool:
        """Make room for rows like these; whether the cache's limit allows it.

        Only features that are worth less, by the seconds that a byte of them took, are dropped for it.
        """
        if self.begun:
            return True
        row_bytes = rows[0].nbytes
        worth = seconds_per_image / row_bytes
        cache = self.folder.parent.parent
        with alone(cache):
            excess = excess_bytes(cache, self._images * row_bytes)
            if excess and not drop_features(cache, excess, worth_less_than=worth):
                return False
            facts = {"seconds_per_byte": worth, **asdict(key)}
            _write_whole(self.folder / COST, json.dumps(facts, indent=1).encode())
            part = self.folder / f"features.{os.getpid()}.tmp"
            np.lib.format.open_memmap(part, "w+", rows.dtype, (self._images, *rows.shape[1:]))
            with suppress(FileExistsError):  # another process was first
                os.link(part, self.folder / "features.npy")
                self.begun_here = True
            part.unlink()
        return True

    def write(self, images: Indices, rows: Rows) -> None:
        """Put down rows `[n, ...]` of ascending images, then their checksums."""
        mapped = self._mapped()
        assert mapped is not None  # created
        if self._rows_file is None:
            self._rows_file = (self.folder / "features.npy").open("r+b", buffering=0)
            weakref.finalize(self, self._rows_file.close)
        size = int(mapped[0].nbytes)
        marks = np.fromiter((_mark(row) for row in rows), np.uint64, len(images))
        for first, stop in _runs(images):
            _write_at(self._rows_file, rows[first:stop].tobytes(), mapped.offset + int(images[first]) * size)
        for first, stop in _runs(images):
            _write_at(self._done_file, marks[first:stop].astype("<u8").tobytes(), int(images[first]) * 8)
        self._checked[images] = True

    def claim(self, images: Indices, at_most: int) -> Indices:
        """The first of the images that no other process is computing; they are this one's until `release`."""
        mine: list[int] = []
        for image in images.tolist():
            if len(mine) == at_most:
                break
            if self._lock(image, fcntl.LOCK_EX | fcntl.LOCK_NB):
                mine.append(image)
        return np.array(mine, dtype=np.int64)

    def release(self, images: Indices) -> None:
        for image in images.tolist():
            self._lock(image, fcntl.LOCK_UN)

    def wait(self, image: int) -> None:
        """Until no other process is computing this image."""
        self._lock(image, fcntl.LOCK_EX)  # which blocks
        self._lock(image, fcntl.LOCK_UN)

    def used(self) -> None:
        """Count this as a use, which keeps the entry from being dropped early."""
        with suppress(OSError):  # readers need no right to write
            os.utime(self.folder / USED)

    def _lock(self, image: int, operation: int) -> bool:
        try:
            fcntl.lockf(self._done_file, operation, 1, image)
        except OSError as error:
            # a file system without locks: the work is not shared, the result is the same
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def _mapped(self) -> np.memmap[tuple[int, ...], np.dtype[Any]] | None:
        if self._rows is None:
            with suppress(FileNotFoundError):
                found = np.lib.format.open_memmap(self.folder / "features.npy", mode="r")
                self._rows = found
        return self._rows


_ENTRIES: dict[Path, Entry] = {}
_OPENING = threading.Lock()


def open_entry(cache: Path, key: FeatureKey, images: int, *, create: bool = True) -> Entry | None:
    """The entry of a key for a data set of so many images; None where there is none and none is to be made.

    Raises:
        OSError: it cannot be made.
    """
    folder = cache / FEATURES / key.name
    with _OPENING:
        entry = _ENTRIES.pop(folder, None)
        if entry is None or entry.dropped:
            if not create and not folder.is_dir():
                return None
            entry = _whole_entry(folder, images)
        _ENTRIES[folder] = entry  # the last used is the last to be closed
        while len(_ENTRIES) > _OPEN_AT_ONCE:
            _ENTRIES.pop(next(iter(_ENTRIES)))
    entry.used()
    return entry


def _whole_entry(folder: Path, images: int) -> Entry:
    """An entry whose file of rows can be read; one that a power cut has left without a proper file is begun anew."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entry = Entry(folder, images)
        _ = entry.begun
    except ValueError:
        drop_entry(folder)
        folder.mkdir(parents=True, exist_ok=True)
        entry = Entry(folder, images)
    return entry


def forget_entry(entry: Entry) -> None:
    """Drop an entry that turned out not to be worth keeping, unless another process has begun it: that one decides."""
    with _OPENING:
        _ENTRIES.pop(entry.folder, None)
    if entry.begun_here or not entry.begun:
        drop_entry(entry.folder)


def _open_sized(path: Path, size: int) -> IO[bytes]:
    """A file of so many bytes, zeros at first; to be read only where it cannot be written to."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    except OSError:
        if not path.exists():
            raise
        return path.open("rb", buffering=0)
    if path.stat().st_size != size:
        file.truncate(size)
    return file


def _mark(row: Rows) -> int:
    return int(_DONE) + zlib.crc32(np.ascontiguousarray(row).data)


def _runs(images: Indices) -> Iterator[tuple[int, int]]:
    """First and last (excluded) place of each stretch of consecutive images."""
    breaks = np.flatnonzero(np.diff(images) != 1) + 1
    yield from zip([0, *breaks.tolist()], [*breaks.tolist(), len(images)], strict=True)


def _write_at(file: IO[bytes], data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file.fileno(), view, offset)
        view, offset = view[written:], offset + written


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_suffix(f".{os.getpid()}.tmp")
    part.write_bytes(data)
    part.replace(path)
