"""Files that a full disk must not tear."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from trainable.checkpoint import load_checkpoint, save_checkpoint
from trainable.disk import is_disk_full, whole_file
from trainable.errors import UserError

NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullAfter:
    """A file on a disk that takes so many bytes more."""

    def __init__(self, path: Path, room: int) -> None:
        self._file = io.FileIO(path, "wb")
        self._room = room

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._room:
            raise NO_ROOM
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def __enter__(self) -> FullAfter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.mark.parametrize("room", [0, 100, 10_000])
def test_the_former_checkpoint_stays_on_a_full_disk(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t0001" / "last.pt"
    save_checkpoint(path, {"epoch": 1, "weights": torch.zeros(10_000)})
    with monkeypatch.context() as full:
        full.setattr(Path, "open", lambda self, _: FullAfter(self, room))
        with pytest.raises(OSError, match=r"No space left on device: .*last\.pt") as caught:
            save_checkpoint(path, {"epoch": 2, "weights": torch.ones(10_000)})
    assert is_disk_full(caught.value)
    assert load_checkpoint(path)["epoch"] == 1
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


def test_a_failed_writer_of_arrays_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", lambda self, _: FullAfter(self, 1000))
    with pytest.raises(OSError, match="No space left"), whole_file(tmp_path / "t0001.npz") as file:
        np.savez(file, logits=np.zeros(1000))
    assert list(tmp_path.iterdir()) == []


def test_what_a_full_disk_led_to_is_told_from_other_errors() -> None:
    def prepare() -> None:
        try:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        except OSError:
            raise UserError("no room for 3 GiB of decoded images") from None

    with pytest.raises(UserError) as caught:
        prepare()
    assert is_disk_full(caught.value)
    assert not is_disk_full(OSError(errno.EIO, "Input/output error"))
    assert not is_disk_full(ValueError("28"))
    assert not is_disk_full(None)
