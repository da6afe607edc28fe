"""A folder becomes an archive that holds what it held."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.client.packing import packed


def test_a_folder_is_packed_without_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "birds" / "red").mkdir(parents=True)
    (tmp_path / "birds" / "red" / "1.png").write_bytes(b"picture")
    (tmp_path / "birds" / "labels.csv").write_text("image\n")
    (tmp_path / "birds" / "linked.png").symlink_to(tmp_path / "birds" / "red" / "1.png")
    with packed(tmp_path / "birds") as archive, tarfile.open(archive) as tar:
        held = {member.name: member.isfile() for member in tar}
    assert held == {"labels.csv": True, "linked.png": True, "red": False, "red/1.png": True}
    assert not archive.exists()


def test_an_archive_goes_as_it_is(tmp_path: Path) -> None:
    archive = tmp_path / "Birds.TAR.GZ"
    archive.write_bytes(b"")
    with packed(archive) as sent:
        assert sent == archive
    assert archive.exists()


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image\n")
    for name, told in {"labels.csv": "is a file; give the folder", "gone": "is not there; give the folder"}.items():
        with pytest.raises(UserError, match=told), packed(tmp_path / name):
            pass
