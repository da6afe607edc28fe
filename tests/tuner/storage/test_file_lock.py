"""One writer a folder, whatever has become of the one before."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.storage.file_lock import locked, locker


def test_a_second_process_is_told_who_has_the_lock(tmp_path: Path) -> None:
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    with locked(tmp_path):
        assert locker(tmp_path) == holder
        with pytest.raises(UserError, match=f"being run by {holder}"), locked(tmp_path):
            pass
    assert locker(tmp_path) is None


def test_a_writer_waits_for_those_who_only_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with locked(tmp_path):
            assert locker(tmp_path)


@pytest.mark.parametrize("left", ["process 1 on elsewhere\n", "process 4194305 on box\n", "", "\x00\x00"])
def test_what_a_file_says_locks_nothing(left: str, tmp_path: Path) -> None:
    """Its process is gone, or its number is another process's by now, or a power cut has emptied it."""
    (tmp_path / "lock").write_text(left)
    assert locker(tmp_path) is None
    with locked(tmp_path):
        assert f"process {os.getpid()}" in str(locker(tmp_path))


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    (tmp_path / "lock").touch()
    with pytest.raises(UserError, match=r"locks no files \(No locks available\).*--results"), locked(tmp_path):
        pass
    with pytest.raises(UserError, match="locks no files"):
        locker(tmp_path)
