"""Brings a folder to this machine: python -m tuner.cluster.bring SOURCE TARGET

SOURCE is a path or a URL such as s3://bucket/folder. A file is brought unless one of the same size and time is there,
so that a second call brings only what is missing or has changed; what the source no longer has is left alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec import AbstractFileSystem

from trainable.errors import UserError

AT_ONCE = 16
"""files; more do not make a network faster, and images are small"""
_SPARE_BYTES = 10**9
_TIMES = ("LastModified", "mtime", "updated", "last_modified", "created")
"""keys under which file systems tell when a file was written"""


@dataclass(frozen=True)
class SourceFile:
    """A file of the source."""

    path: str
    size: int
    """bytes"""
    written: float
    """seconds since 1970"""


@dataclass(frozen=True)
class Brought:
    """What was done."""

    files: int
    bytes: int
    were_there: int


def bring(source: str, target: Path) -> Brought:
    """Copy what is missing of a folder, or of one file, into a folder.

    Raises:
        UserError: the source is not there, may not be read, or does not fit; the target cannot be written.
    """
    system, wanted = _listed(source)
    missing = {place: file for place, file in wanted.items() if not _is_there(target / place, file)}
    size = sum(file.size for file in missing.values())
    target.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(target).free) < size + _SPARE_BYTES:
        raise UserError(f"{target}: has {free / 1e9:.1f} GB free, and {source} needs {size / 1e9:.1f} GB more")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in as_completed([pool.submit(_fetch, system, file, target / name) for name, file in missing.items()]):
            try:
                done.result()
            except OSError as error:
                pool.shutdown(cancel_futures=True)
                raise UserError(f"{source}: broke off ({error}); the next call goes on from here") from None
    return Brought(len(missing), size, len(wanted) - len(missing))


def _listed(source: str) -> tuple[AbstractFileSystem, dict[str, SourceFile]]:
    """The files of a source by their place in it, `/` between folders."""
    try:
        system, root = fsspec.core.url_to_fs(source)
        found: dict[str, dict[str, Any]] = system.find(root, detail=True)
    except (ImportError, ValueError) as error:  # a package is missing; no such kind of URL
        raise UserError(f"{source}: {error}") from None
    except FileNotFoundError:
        found = {}
    except Exception as error:
        raise UserError(f"{source}: {_refusal(error)}") from None
    if not found:
        raise UserError(f"{source}: there is nothing; check the bucket's or the folder's name")
    root = root.rstrip("/")
    return system, {
        path.removeprefix(root).lstrip("/") or path.rpartition("/")[2]: SourceFile(path, info["size"], _written(info))
        for path, info in found.items()
        if not path.endswith("/")
    }


def _refusal(error: Exception) -> str:
    """Why a source cannot be listed, in a line. Clouds' errors are told by name: their packages need not be there."""
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return "may not be read; give this machine rights (on AWS an instance profile), or set credentials"
    return f"cannot be read ({type(error).__name__}: {error}); check its name and the network"


def _written(info: dict[str, Any]) -> float:
    told = next((info[key] for key in _TIMES if info.get(key) is not None), 0.0)
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    return told.timestamp() if isinstance(told, datetime) else float(told)


def _is_there(place: Path, file: SourceFile) -> bool:
    try:
        found = place.stat()
    except FileNotFoundError:
        return False
    return found.st_size == file.size and abs(found.st_mtime - file.written) < 1


def _fetch(system: AbstractFileSystem, file: SourceFile, place: Path) -> None:
    """Bring one file: it is there whole, with its source's time, or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.part")
    system.get_file(file.path, str(part))
    os.utime(part, (file.written, file.written))
    part.replace(place)


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring, and say what was brought. 0: all is there; 2: the mistake is on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tuner.cluster.bring", description=__doc__)
    parser.add_argument("source", help="a path or a URL such as s3://bucket/folder")
    parser.add_argument("target", type=Path, help="a folder on this machine")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        done = bring(given.source, given.target)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    took = f"{done.bytes / 1e6:.1f} MB in {time.monotonic() - began:.1f} s"
    print(f"{given.source}: {done.files} files brought ({took}), {done.were_there} were there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
