"""Archives that strangers made, unpacked so that nothing of them lies outside one folder or fills the disk.

    python -m tuner.service.data.unpacking ARCHIVE FOLDER LIMITS

is a process of its own, with bounded memory: reading a directory of millions of entries takes some.
"""

from __future__ import annotations

import json
import resource
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from trainable.data.manifest import IMAGE_SUFFIXES
from trainable.data.tables import TABLE_SUFFIXES
from trainable.errors import UserError

_SKIPPED_FOLDER = "__MACOSX"
_PIECE_BYTES = 1 << 18
_MEMORY_BYTES = 2 << 30


@dataclass(frozen=True)
class UnpackLimits:
    """The most that an archive may hold."""

    total_bytes: int = 20 << 30
    file_bytes: int = 1 << 30
    files: int = 500_000
    depth: int = 8
    """folders in folders"""
    ratio: float = 100.0
    """of what is unpacked to the archive; pictures are compressed already"""
    free_of_ratio_bytes: int = 64 << 20
    """a small archive of tables may unpack to so much, whatever its ratio"""


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    name: str
    bytes: int
    """as the archive says, which is not to be believed"""
    member: zipfile.ZipInfo | tarfile.TarInfo


def unpack(archive: Path, folder: Path, limits: UnpackLimits = UnpackLimits()) -> int:
    """Write an archive's pictures and tables into a new folder; other files are left out.

    Args:
        archive: .zip, .tar or .tar.gz, by its content
        folder: is made
        limits: what is refused beyond them

    Returns:
        how many files there are

    Raises:
        UserError: it is no archive, is broken, or holds what is refused. The folder may then be half-written.
    """
    folder.mkdir(mode=0o700)
    allowed_bytes = min(limits.total_bytes, max(int(archive.stat().st_size * limits.ratio), limits.free_of_ratio_bytes))
    written = files = 0
    try:
        with _opened(archive) as opened:
            for count, member in enumerate(_members(opened), start=1):
                if count > limits.files:
                    raise UserError(f"archive: holds more than {limits.files:,} files; give data by their path")
                parts = _safe_parts(member.name, limits.depth)
                if not _is_wanted(parts):
                    continue
                content = _content(opened, member)
                written += _write(content, folder.joinpath(*parts), member, limits, allowed_bytes - written)
                files += 1
    # zipfile has a RuntimeError for what is encrypted, NotImplementedError for other ways to compress
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"archive: is broken or of a kind that is not read ({error}); pack it anew") from None
    if not files:
        raise UserError("archive: holds no pictures and no table; pack the folder that holds them")
    return files


def _opened(archive: Path) -> zipfile.ZipFile | tarfile.TarFile:
    if zipfile.is_zipfile(archive):
        return zipfile.ZipFile(archive)
    for mode in ("r:", "r:gz"):  # no others: bzip2 and xz expand far more than the ratio before a byte can be counted
        with suppress(tarfile.TarError, OSError, EOFError, zlib.error):
            return tarfile.open(archive, mode)
    raise UserError("archive: is neither .zip nor .tar nor .tar.gz; pack it as one of these")


def _members(opened: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    """The files, one after another; folders are left out, everything else is refused."""
    if isinstance(opened, zipfile.ZipFile):
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(info.filename, "is a link or a device")
            if info.flag_bits & 1:
                raise _refused(info.filename, "is encrypted")
            if not info.is_dir():
                yield _Member(info.filename, info.file_size, info)
        return
    for found in opened:
        if not (found.isreg() or found.isdir()) or found.issparse():
            raise _refused(found.name, "is a link, a device or sparse")
        if found.isreg():
            yield _Member(found.name, found.size, found)
        opened.members = []  # type: ignore[attr-defined]  # each is kept else, by the million


def _safe_parts(name: str, depth: int) -> tuple[str, ...]:
    """The parts of a name that leads nowhere else."""
    if not name.isprintable() or "\\" in name or ":" in name:
        raise _refused(name, "has characters that names of files should not have")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _refused(name, "leads out of its folder")
    if len(path.parts) > depth + 1:
        raise _refused(name, f"is more than {depth} folders deep")
    if any(len(part.encode()) > 200 for part in path.parts):
        raise _refused(name, "is too long")
    return path.parts


def _refused(name: str, why: str) -> UserError:
    shown = name if len(name) <= 80 else name[:77] + "..."
    return UserError(f"archive: {shown!r} {why}; pack plain files with plain relative names")


def _is_wanted(parts: tuple[str, ...]) -> bool:
    if not parts or parts[0] == _SKIPPED_FOLDER or any(part.startswith(".") for part in parts):
        return False
    return PurePosixPath(parts[-1]).suffix.lower() in (*IMAGE_SUFFIXES, *TABLE_SUFFIXES)


def _content(opened: zipfile.ZipFile | tarfile.TarFile, member: _Member) -> IO[bytes]:
    if isinstance(opened, zipfile.ZipFile):
        assert isinstance(member.member, zipfile.ZipInfo)
        return opened.open(member.member)
    assert isinstance(member.member, tarfile.TarInfo)
    content = opened.extractfile(member.member)
    assert content is not None  # a regular file
    return content


def _write(content: IO[bytes], path: Path, member: _Member, limits: UnpackLimits, allowed_bytes: int) -> int:
    """Copy a file while it is within limits; how many bytes it has."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        out = path.open("xb")
    except (FileExistsError, NotADirectoryError):
        raise _refused(member.name, "is in it twice, or is both a file and a folder") from None
    written = 0
    with content, out:
        while piece := content.read(_PIECE_BYTES):
            written += len(piece)
            if written > limits.file_bytes:
                raise _refused(member.name, f"is larger than {limits.file_bytes >> 20} MiB")
            if written > allowed_bytes:
                raise UserError(
                    "archive: unpacks to far more than its size, or than the service takes; give data by their path"
                )
            out.write(piece)
    return written


def data_in(folder: Path) -> Path:
    """The folder that the data begin in: archives often hold one folder with all in it."""
    while True:
        entries = list(folder.iterdir())
        if len(entries) != 1 or not entries[0].is_dir():
            return folder
        within = list(entries[0].iterdir())
        if not any(entry.is_dir() or entry.suffix.lower() in TABLE_SUFFIXES for entry in within):
            return folder
        folder = entries[0]


def arguments(archive: Path, folder: Path, limits: UnpackLimits) -> list[str]:
    """What starts the process that unpacks; it tells its mistake on stderr and ends with 2."""
    return [sys.executable, "-m", "tuner.service.data.unpacking", str(archive), str(folder), json.dumps(asdict(limits))]


def main(archive: str, folder: str, limits: str) -> None:
    """What the process does."""
    try:
        print(unpack(Path(archive), Path(folder), UnpackLimits(**json.loads(limits))))
    except (UserError, MemoryError, OSError) as error:
        print(str(error) or "archive: holds too many files to be read", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    main(*sys.argv[1:])
