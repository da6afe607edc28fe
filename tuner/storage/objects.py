"""Objects under one URL, through fsspec: whole reads and writes, errors in one line, patience with what passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from trainable.errors import UserError

PACKAGES = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""protocol -> extra of this package that brings what fsspec needs for it"""
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account",
}
"""extra -> where credentials come from"""
OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}}},
}
"""extra -> options of its file system: the libraries' own patience is minutes, without a word"""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 10.0
"""between tries"""
REMOVED_AT_ONCE = 16
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ProfileNotFound")
_MODIFIED = ("LastModified", "mtime", "last_modified", "updated", "created")
_VERSION = ("ETag", "etag", "md5Hash")

T = TypeVar("T")


class StorageError(UserError, OSError):
    """A store does not do what it is asked to; one line, for people."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__(*mistakes)
        self.strerror = mistakes[0]


@dataclass(frozen=True)
class Found:
    """An object as a listing tells of it."""

    version: str
    """changes with its content"""
    modified: float
    """seconds since 1970, by the store's clock"""


@dataclass(frozen=True)
class Objects:
    """The objects under a URL, by their names below it, such as `events/1.jsonl`.

    Every method raises StorageError where the store refuses, or has not answered for so long.
    """

    url: str
    fs: Any
    root: str
    """the URL as the file system has it"""
    patience_seconds: float = 0.0
    """of trying again, beyond what the protocol's library does by itself"""

    def put(self, name: str, content: bytes) -> None:
        """Write an object, whole or not at all."""
        self._try(lambda: self.fs.pipe_file(self._path(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Write an object unless there is one; False: there is, with another content."""

        def write() -> bool:
            try:
                self.fs.pipe_file(self._path(name), content, mode="create")
            except Exception:
                # stores tell in many ways that there is one; and it may be ours, of a try whose answer was lost
                try:
                    return bool(self.fs.cat_file(self._path(name)) == content)
                except FileNotFoundError:
                    pass
                raise
            return True

        return self._try(write)

    def get(self, name: str) -> bytes:
        """An object's content. Raises FileNotFoundError."""
        return bytes(self._try(lambda: self.fs.cat_file(self._path(name))))

    def get_all(self, names: Iterable[str]) -> list[bytes]:
        """The contents of many objects, asked for at once. Raises FileNotFoundError where one is gone."""
        paths = [self._path(name) for name in names]
        found: Mapping[str, bytes] = self._try(lambda: self.fs.cat(paths, on_error="raise")) if paths else {}
        return [found[path] for path in paths]

    def listed(self, below: str = "") -> dict[str, Found]:
        """What there is, or is in one folder, by name."""
        found: Mapping[str, Any] = self._try(lambda: self.fs.find(self._path(below), detail=True))
        start = len(self.root) + 1
        return {path[start:]: _found(info) for path, info in found.items() if not path.endswith("/")}

    def folders(self) -> list[str]:
        """The names of what has something below it."""
        try:
            found = self._try(lambda: self.fs.ls(self.root, detail=True))
        except FileNotFoundError:
            return []
        return sorted(info["name"].rstrip("/").rpartition("/")[2] for info in found if info["type"] == "directory")

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        return bool(self._try(lambda: self.fs.exists(self._path(name))))

    def upload(self, file: Path, name: str) -> str:
        """Write a file as an object: its version."""
        self._try(lambda: self.fs.put_file(str(file), self._path(name)))
        return _found(self._try(lambda: self.fs.info(self._path(name)))).version

    def download(self, name: str, file: Path) -> None:
        """Write an object as a file. Raises FileNotFoundError."""
        self._try(lambda: self.fs.get_file(self._path(name), str(file)))

    def remove(self, names: Iterable[str]) -> None:
        """Drop objects, where they are there."""

        def drop(path: str) -> None:
            with suppress(FileNotFoundError):
                self._try(lambda: self.fs.rm_file(path))

        with ThreadPoolExecutor(REMOVED_AT_ONCE) as pool:
            list(pool.map(drop, map(self._path, names)))

    def reach(self) -> None:
        """Find out that there is a place to read from and to write to."""
        if _extra(self.url) is None:
            return
        bucket = self.root.partition("/")[0]
        try:
            self._try(lambda: self.fs.info(bucket))
        except FileNotFoundError:
            raise StorageError(
                f"{self.url}: there is no bucket {bucket!r}; create it, or give another place with --results"
            ) from None

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _try(self, call: Callable[[], T]) -> T:
        until, wait = time.monotonic() + self.patience_seconds, FIRST_WAIT_SECONDS
        while True:
            try:
                with self._explained() as lasting:
                    return call()
            except StorageError:
                if lasting or time.monotonic() + wait > until:
                    raise
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    @contextmanager
    def _explained(self) -> Iterator[list[bool]]:
        """Say in a line what the store did not do; the list has an item where trying again would not help."""
        lasting: list[bool] = []
        try:
            yield lasting
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__ == "builtins":
                raise  # a bug
            name, extra = type(error).__name__, _extra(self.url)
            reason = str(error).splitlines()[0] if str(error) else name
            if name in _NO_CREDENTIALS:
                lasting.append(True)
                told = f"no credentials were found; set {CREDENTIALS[extra]}" if extra else reason
            elif isinstance(error, PermissionError):
                lasting.append(True)
                told = f"access is denied ({reason}); its credentials need to read, write, list and delete there"
            else:
                told = f"cannot be reached ({reason}); check the network and the address"
            raise StorageError(f"{self.url}: {told}") from error


def open_objects(url: str, patience_seconds: float = 0.0) -> Objects:
    """The objects under a URL; nothing is asked of the store yet.

    Raises:
        UserError: no such protocol, or its package is not installed.
    """
    import fsspec

    extra = _extra(url)
    try:
        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **OPTIONS.get(extra or "", {}))
    except ImportError as error:
        remedy = f"pip install 'thaw-tuner[{extra}]'" if extra else str(error).splitlines()[0]
        raise UserError(f"{url}: a package for it is not installed; {remedy}") from None
    except ValueError as error:
        raise UserError(f"{url}: {str(error).splitlines()[0]}; give a folder, s3://... or gs://...") from None
    return Objects(url, fs, root.rstrip("/"), patience_seconds)


def _extra(url: str) -> str | None:
    return PACKAGES.get(url.partition("://")[0])


def _found(info: Mapping[str, Any]) -> Found:
    modified = next((_seconds(info[name]) for name in _MODIFIED if info.get(name)), 0.0)
    version = next((str(info[name]) for name in _VERSION if info.get(name)), f"{info.get('size')} {modified}")
    return Found(version, modified)


def _seconds(time_told: Any) -> float:
    """A time as file systems tell it: a datetime, its text, or seconds since 1970."""
    if isinstance(time_told, str):
        time_told = datetime.fromisoformat(time_told)
    return time_told.timestamp() if isinstance(time_told, datetime) else float(time_told)
