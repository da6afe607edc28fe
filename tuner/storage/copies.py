"""Files of a working folder beside the objects that they are copies of."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tuner.storage.objects import Found, Objects

MARKS = ".home"
"""folder of what is known of copies: for each, the version of its object and the file's own size and time"""
_UNFINISHED = ".tmp"


class Copies:
    """Brings files of a folder from their objects, and to them, as far as they differ.

    An object that is as it was when last seen is no reason to touch its file, which may have changed since.
    """

    def __init__(self, folder: Path, objects: Objects) -> None:
        self._folder = folder
        self._objects = objects

    def pull(self, names: Iterable[str], found: Mapping[str, Found]) -> None:
        """Have files be as their objects are, also gone where those are gone.

        Args:
            names: of files or folders
            found: all objects there are of these names, or in these folders
        """
        wanted = tuple(names)
        for name in sorted({*found, *self.marked()}):
            if not any(name == one or name.startswith(f"{one}/") for one in wanted):
                continue
            version = self._mark(name)[0]
            if name not in found:
                self.drop(name)
            elif found[name].version != version or not (self._folder / name).exists():
                self._download(name, found[name])

    def push(self, names: Iterable[str]) -> None:
        """Have objects be as their files are; those without a file stay."""
        for name in names:
            stamp = self._stamp(name)
            if stamp is None or self._mark(name)[1:] == stamp:
                continue
            try:
                version = self._objects.upload(self._folder / name, name)
            except FileNotFoundError:
                if (self._folder / name).exists():
                    raise
                continue  # dropped just now
            self._write_mark(name, version, stamp)

    def pushed(self, name: str) -> bool:
        """Whether its object is as the file is."""
        return self._mark(name)[1:] == self._stamp(name)

    def remove(self, names: Iterable[str]) -> None:
        """Drop objects and their files."""
        names = list(names)
        for name in names:
            self.drop(name)
        self._objects.remove(names)

    def drop(self, name: str) -> None:
        """Drop a file, not its object."""
        for path in (self._folder / name, self._mark_of(name)):
            path.unlink(missing_ok=True)

    def marked(self) -> Iterator[str]:
        """The names of all files that are, or were, copies."""
        marks = self._folder / MARKS / "files"
        yield from (path.relative_to(marks).as_posix() for path in sorted(marks.rglob("*")) if _is_mark(path))

    def _download(self, name: str, found: Found) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            self._objects.download(name, unfinished)
            unfinished.replace(path)
        except FileNotFoundError:  # dropped since it was listed
            self.drop(name)
            return
        finally:
            unfinished.unlink(missing_ok=True)
        if stamp := self._stamp(name):
            self._write_mark(name, found.version, stamp)

    def _stamp(self, name: str) -> tuple[int, int] | None:
        """A file's size in bytes and its time; None where there is none."""
        try:
            stat = (self._folder / name).stat()
        except FileNotFoundError:
            return None
        return stat.st_size, stat.st_mtime_ns

    def _mark_of(self, name: str) -> Path:
        return self._folder / MARKS / "files" / name

    def _mark(self, name: str) -> tuple[str, int, int]:
        """Version of the object, size and time of the file when they were the same; an empty version: never."""
        with suppress(OSError, ValueError, TypeError):
            version, size, changed = json.loads(self._mark_of(name).read_text(encoding="utf-8"))
            return str(version), int(size), int(changed)
        return "", -1, -1

    def _write_mark(self, name: str, version: str, stamp: tuple[int, int]) -> None:
        mark = self._mark_of(name)
        mark.parent.mkdir(parents=True, exist_ok=True)
        unfinished = mark.with_name(f"{mark.name}.{os.getpid()}.{threading.get_ident()}{_UNFINISHED}")
        unfinished.write_text(json.dumps([version, *stamp]), encoding="utf-8")
        unfinished.replace(mark)


def _is_mark(path: Path) -> bool:
    return path.is_file() and path.suffix != _UNFINISHED
