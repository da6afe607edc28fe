"""Archives that attack, one by one, and those that do not."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.service.data.unpacking import UnpackLimits, arguments, data_in, unpack

Archive = Callable[[Path], None]
SMALL = UnpackLimits(total_bytes=1 << 22, file_bytes=1 << 21, files=20, free_of_ratio_bytes=1 << 16)


def zipped(*names: str, content: bytes = b"pixels", mode: int = 0, flag: int = 0) -> Archive:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                info = zipfile.ZipInfo(name)
                info.external_attr = mode << 16
                archive.writestr(info, content, zipfile.ZIP_DEFLATED)
        if flag:
            data = bytearray(path.read_bytes())
            data[data.index(b"PK\x01\x02") + 8] |= flag
            path.write_bytes(data)

    return make


def tarred(*members: tarfile.TarInfo | str, content: bytes = b"pixels", mode: str = "w:gz") -> Archive:
    def make(path: Path) -> None:
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for member in members:
                info = tarfile.TarInfo(member) if isinstance(member, str) else member
                if info.isreg():
                    info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    return make


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def overlapping(path: Path) -> None:
    """Many names for the same compressed bytes, as the bombs that need no nesting have them."""
    zipped("a.png", content=b"\0" * 100_000)(path)
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.infolist()[0]
        for number in range(10):
            again = zipfile.ZipInfo(f"b{number}.png")
            for field in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(again, field, getattr(first, field))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive._didModify = True  # type: ignore[attr-defined]


ATTACKS: dict[str, tuple[Archive, str]] = {
    "traversal in zip": (zipped("../out.png"), "leads out of its folder"),
    "traversal amid a name": (zipped("a/../../out.png"), "leads out of its folder"),
    "traversal in tar": (tarred("../../out.png"), "leads out of its folder"),
    "absolute name in zip": (zipped("/tmp/out.png"), "leads out of its folder"),
    "absolute name in tar": (tarred("/tmp/out.png"), "leads out of its folder"),
    "backslashes": (zipped("a\\..\\..\\out.png"), "has characters"),
    "drive letter": (zipped("C:out.png"), "has characters"),
    "control characters": (tarred("a\x1b[2J.png"), "has characters"),
    "symbolic link in zip": (zipped("a.png", content=b"/etc/passwd", mode=stat.S_IFLNK | 0o777), "link"),
    "symbolic link in tar": (tarred(special("a.png", tarfile.SYMTYPE, "/etc/passwd")), "link"),
    "hard link in tar": (tarred(special("a.png", tarfile.LNKTYPE, "/etc/passwd")), "link"),
    "folder that is a link": (tarred(special("a", tarfile.SYMTYPE, "/tmp"), "a/out.png"), "link"),
    "device in tar": (tarred(special("a.png", tarfile.CHRTYPE)), "device"),
    "pipe in tar": (tarred(special("a.png", tarfile.FIFOTYPE)), "device"),
    "pipe in zip": (zipped("a.png", mode=stat.S_IFIFO | 0o600), "device"),
    "bomb by ratio in zip": (zipped("a.png", content=b"\0" * 1_500_000), "far more than its size"),
    "bomb by ratio in tar": (tarred("a.png", content=b"\0" * 1_500_000), "far more than its size"),
    "bomb by size of a file": (tarred("a.png", content=os.urandom(1024) * 3000, mode="w"), "larger than 2 MiB"),
    "bomb by total size": (
        tarred("a.png", "b.png", "c.png", content=os.urandom(1024) * 2000, mode="w"),
        "far more than its size",
    ),
    "bomb by count": (zipped(*(f"{number}.png" for number in range(21))), "more than 20 files"),
    "bomb by count of what is left out": (tarred(*(f"{number}.txt" for number in range(21))), "more than 20 files"),
    "bomb of overlapping entries": (overlapping, "broken|far more"),
    "nested folders": (zipped("/".join("abcdefghij") + "/x.png"), "folders deep"),
    "long name": (zipped("ä" * 150 + ".png"), "is too long"),
    "the same name twice": (tarred("a.png", "a.png"), "twice"),
    "a file that is a folder too": (zipped("a.png", "a.png/b.png"), "twice"),
    "encrypted": (zipped("a.png", flag=1), "is encrypted"),
    "no archive": (lambda path: path.write_bytes(b"GIF89a" + b"\0" * 2000) and None, "neither .zip nor .tar"),
    "nothing": (lambda path: path.touch(), "neither .zip nor .tar"),
    "bzip2": (tarred("a.png", mode="w:bz2"), "neither .zip nor .tar"),
    "archive in an archive": (zipped("inner.zip"), "no pictures"),
    "only programs": (zipped("run.sh", "a.py"), "no pictures"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_attacks_are_refused(tmp_path: Path, attack: str) -> None:
    make, told = ATTACKS[attack]
    inner = tmp_path / "inner"
    inner.mkdir()
    make(tmp_path / "archive")
    with pytest.raises(UserError, match=told):
        unpack(tmp_path / "archive", inner / "data", SMALL)
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "inner"}
    assert {path.name for path in inner.iterdir()} == {"data"}
    assert not [path for path in inner.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("cut", [10, 200, 400])
def test_broken_archives_are_refused(tmp_path: Path, cut: int) -> None:
    archive = tmp_path / "archive"
    tarred("a.png", content=os.urandom(2000))(archive)
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(UserError, match="archive: "):
        unpack(archive, tmp_path / "data", SMALL)


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    zipped("a.png", content=b"pixels")(archive)
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 1
    archive.write_bytes(data)
    with pytest.raises(UserError, match="is broken"):
        unpack(archive, tmp_path / "data", SMALL)


@pytest.mark.parametrize("make", [zipped, tarred])
def test_pictures_and_tables_come_out(tmp_path: Path, make: Callable[..., Archive]) -> None:
    names = ["flowers/rose/1.png", "flowers/lily/2.JPG", "flowers/labels.csv"]
    make(*names, "flowers/README.md", "__MACOSX/flowers/rose/._1.png", "flowers/.hidden/3.png")(tmp_path / "archive")
    folder = tmp_path / "data"
    assert unpack(tmp_path / "archive", folder, SMALL) == 3
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert sorted(found) == sorted(names)
    assert data_in(folder) == folder / "flowers"


def test_a_folder_of_pictures_alone_stays_the_class_that_it_may_be(tmp_path: Path) -> None:
    zipped("rose/1.png", "rose/2.png")(tmp_path / "archive")
    unpack(tmp_path / "archive", tmp_path / "data", SMALL)
    assert data_in(tmp_path / "data") == tmp_path / "data"


def test_the_process_of_its_own_tells_what_it_refuses(tmp_path: Path) -> None:
    zipped("../out.png")(tmp_path / "bad")
    zipped("out.png")(tmp_path / "good")
    bad = subprocess.run(arguments(tmp_path / "bad", tmp_path / "1", SMALL), capture_output=True, text=True)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("archive: '../out.png' leads out of its folder; ")
    good = subprocess.run(arguments(tmp_path / "good", tmp_path / "2", SMALL), capture_output=True, text=True)
    assert (good.returncode, good.stdout.strip()) == (0, "1")
