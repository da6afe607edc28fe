"""Decoded images on this machine's disk: addressed by content, shared by processes, bounded in size.

<cache>/images/<key>/scan.json      the recipe, and for each distinct file by sha256: width, height, mode, error
<cache>/images/<key>/<size>.npy     uint8 [n, size, size, 3], in the order of the sorted sha256s
<cache>/images/<key>.build          lock of the process that writes the entry
<cache>/images/<key>.use            lock shared by the readers; its time of change is the entry's last use
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from trainable.data.cache import FEATURES, GIB, IMAGES, drop_features, excess_bytes, held_bytes
from trainable.data.decoding import RESIZE_POLICY, decode
from trainable.errors import UserError

FORMAT = 1
"""Raise by hand whenever the same bytes would be prepared differently."""
CHUNK = 32
"""Images a thread decodes between two looks at the queue."""


@dataclass(frozen=True)
class Scanned:
    """What one image file turned out to be."""

    sha256: str | None
    """Of the file's bytes; None where it could not be opened."""
    width: int
    height: int
    mode: str
    error: str | None
    """Why the image cannot be used: `missing`, or the decoder's reason; None where it can."""


@dataclass(frozen=True)
class Scan:
    """Every file of a data set, read once; `images` is by image id."""

    key: str
    """Name of the cache entry that holds the decoded images; empty where no file could be opened."""
    images: Mapping[str, Scanned]

    @property
    def unreadable(self) -> dict[str, str]:
        """Image id -> reason, for every image that cannot be used."""
        return {image: found.error for image, found in self.images.items() if found.error is not None}

    @property
    def sha256s(self) -> dict[str, str]:
        """Image id -> sha256, for every file that could be opened."""
        return {image: found.sha256 for image, found in self.images.items() if found.sha256 is not None}


class PreparedImages:
    """Decoded images of one size, memory-mapped; the cache keeps them for as long as this is open.

    `array` is uint8 [n, size, size, 3]; `positions` finds a readable file's row by its sha256. Closing allows
    the cache to drop the entry; it does not unmap arrays that are still in use elsewhere.
    """

    def __init__(self, array: npt.NDArray[np.uint8], positions: Mapping[str, int], lease: IO[bytes]) -> None:
        self.array = array
        self.positions = positions
        self._lease = lease
        weakref.finalize(self, lease.close)  # of those that nobody closes

    def close(self) -> None:
        self._lease.close()

    def __enter__(self) -> PreparedImages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def scan_images(paths: Mapping[str, Path], sizes: Sequence[int], cache: Path, workers: int | None = None) -> Scan:
    """Read every file (`paths` is by image id), and decode those that the cache lacks at any of the sizes.

    Every file's bytes are hashed each time, so a changed file is noticed. Each distinct content is decoded once, for
    all sizes together. Safe with any number of processes: one builds, the others wait and read. `workers` threads
    (default: the CPU cores); Pillow lets go of the interpreter lock while it decodes, so they scale like processes.
    Raises UserError where the disk has no room.
    """
    threads = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        hashes = dict(zip(paths, pool.map(_sha256, paths.values()), strict=True))
        opened = {sha: paths[image] for image, sha in reversed(hashes.items()) if len(sha) == 64}
        key = set_key(opened) if opened else ""
        found = _ensure(key, opened, sorted(set(sizes)), cache / IMAGES, pool) if opened else {}
    return Scan(key, {image: found.get(sha, Scanned(None, 0, 0, "", sha)) for image, sha in hashes.items()})


def set_key(sha256s: Iterable[str]) -> str:
    """Name of the entry for a set of files: their contents, what is done to them and by which Pillow."""
    return hashlib.sha256("\n".join([recipe(), *sorted(set(sha256s))]).encode()).hexdigest()


def recipe() -> str:
    """What is done to an image file, and by what."""
    import PIL

    return f"format {FORMAT}; {RESIZE_POLICY}; pillow {PIL.__version__}"


def open_images(sha256s: Iterable[str], size: int, cache: Path) -> PreparedImages | None:
    """The decoded images of these files at one size, or None where one is unreadable or not prepared on this machine.

    An entry for a larger set serves as well: leaving out unreadable images or rare labels decodes nothing again.
    """
    wanted = set(sha256s)
    folder = cache / IMAGES
    exact = folder / set_key(wanted)
    others = sorted(entry for entry in folder.glob("*/") if entry != exact) if folder.is_dir() else []
    for entry in (exact, *others):
        if not (entry / f"{size}.npy").exists():
            continue
        lease = _use_lock(entry).open("ab")
        try:
            fcntl.flock(lease, fcntl.LOCK_SH)  # waits while the entry is being dropped
            stored = _stored(entry) or {}
            positions = {sha: row for row, sha in enumerate(sorted(stored)) if stored[sha].error is None}
            if wanted <= positions.keys() and (entry / f"{size}.npy").exists():
                array = np.load(entry / f"{size}.npy", mmap_mode="r")
                os.utime(_use_lock(entry))
                return PreparedImages(array, positions, lease)
        except BaseException:
            lease.close()
            raise
        lease.close()
    return None


def _sha256(path: Path) -> str:
    """The file's sha256, or (never 64 characters long) why it cannot be opened."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be opened: {error.strerror or error}"[:63]


def _use_lock(entry: Path) -> Path:
    return entry.with_suffix(".use")


def _stored(entry: Path) -> dict[str, Scanned] | None:
    """What `scan.json` of an entry says, by sha256; None where there is none, or one made by another recipe."""
    try:
        stored = json.loads((entry / "scan.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stored["recipe"] != recipe():
        return None
    return {sha: Scanned(sha, *fields) for sha, fields in stored["images"].items()}


def _lacking(entry: Path, sizes: Sequence[int]) -> list[int]:
    return [size for size in sizes if not (entry / f"{size}.npy").exists()]


def _ensure(
    key: str, paths: Mapping[str, Path], sizes: Sequence[int], folder: Path, pool: ThreadPoolExecutor
) -> dict[str, Scanned]:
    """The entry's scan, by sha256, after every size is there; `paths` is by sha256."""
    from filelock import FileLock

    entry = folder / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: the cache of decoded images cannot be made there ({error.strerror}); set THAW_CACHE to a "
            "folder that can be written"
        ) from None
    with _using(entry):
        stored = _stored(entry)
        if stored is None or _lacking(entry, sizes):
            with FileLock(entry.with_suffix(".build")):
                stored = _stored(entry)  # another process may have built it meanwhile
                lacking = _lacking(entry, sizes)
                if stored is None or lacking:
                    _make_room(folder, sum(len(paths) * size * size * 3 for size in lacking))
                    stored = _build(entry, paths, lacking, pool)
    return stored


@contextmanager
def _using(entry: Path) -> Iterator[None]:
    """Hold an entry so that no other process drops it, and count this as a use."""
    with _use_lock(entry).open("ab") as lease:
        fcntl.flock(lease, fcntl.LOCK_SH)
        os.utime(_use_lock(entry))
        yield


def _build(
    entry: Path, paths: Mapping[str, Path], sizes: Sequence[int], pool: ThreadPoolExecutor
) -> dict[str, Scanned]:
    """Decode every file once and write the missing sizes; each file of the entry appears whole or not at all."""
    entry.mkdir(exist_ok=True)
    for left_over in entry.glob("*.tmp"):  # of a process that was killed: only the holder of the lock writes here
        left_over.unlink()
    order = sorted(paths)
    parts = {size: entry / f"{size}.npy.tmp" for size in sizes}
    arrays = [_allocate(part, (len(order), size, size, 3)) for size, part in parts.items()]

    def prepare(chunk: range) -> list[Scanned]:
        found = []
        for row in chunk:
            scanned, pictures = _read(order[row], paths[order[row]], sizes)
            found.append(scanned)
            for array, picture in zip(arrays, pictures, strict=False):
                array[row] = picture
        return found

    chunks = [range(start, min(start + CHUNK, len(order))) for start in range(0, len(order), CHUNK)]
    scanned = [one for chunk in pool.map(prepare, chunks) for one in chunk]
    for size, part in parts.items():
        _publish(part, entry / f"{size}.npy")
    stored = {one.sha256: one for one in scanned if one.sha256 is not None}
    images = {sha: (one.width, one.height, one.mode, one.error) for sha, one in stored.items()}
    part = entry / "scan.json.tmp"
    part.write_text(json.dumps({"recipe": recipe(), "images": images}), encoding="utf-8")
    _publish(part, entry / "scan.json")
    return stored


def _allocate(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """A memory-mapped array of zeros. Where the system can, its blocks exist: a full disk is an error, not a crash."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    try:
        with path.open("rb+") as file:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink()
        raise UserError(
            f"{path.parent}: no room for {array.nbytes / GIB:.1f} GiB of decoded images ({error.strerror}); "
            "set THAW_CACHE to a larger disk, or choose a smaller image_size"
        ) from None
    return array


def _publish(part: Path, path: Path) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _read(sha256: str, path: Path, sizes: Sequence[int]) -> tuple[Scanned, tuple[npt.NDArray[np.uint8], ...]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: vanished while the images were prepared ({error.strerror}); start again") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"{path}: changed while the images were prepared; start again once nothing writes there")
    decoded = decode(data, sizes)
    return Scanned(sha256, decoded.width, decoded.height, decoded.mode, decoded.error), decoded.pictures


def _make_room(folder: Path, needed_bytes: int) -> None:
    """Drop features, then images, the longest unused first, until the new entry fits; images in use stay."""
    cache = folder.parent
    excess = excess_bytes(cache, needed_bytes)
    features = sum(held_bytes(entry) for entry in (cache / FEATURES).glob("*/"))
    drop_features(cache, min(excess, features))
    excess -= min(excess, features)
    for entry in sorted(folder.glob("*/"), key=_last_use):
        if excess <= 0:
            break
        held = held_bytes(entry)
        if _drop(entry):
            excess -= held


def _last_use(entry: Path) -> float:
    lock = _use_lock(entry)
    return lock.stat().st_mtime if lock.exists() else 0.0


def _drop(entry: Path) -> bool:
    """Remove an entry that nobody reads or builds; its lock files stay, since another process may wait on them."""
    with _use_lock(entry).open("ab") as lease:
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(entry, ignore_errors=True)  # another process may have dropped it just before
    return True
