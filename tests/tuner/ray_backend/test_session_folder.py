"""The folder of a driver's own Ray, and those that killed drivers have left."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tuner.ray_backend.session_folder import session_folder

HELD = """
import sys, time
from tuner.ray_backend.session_folder import session_folder
with session_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_a_folder_goes_with_its_driver(tmp_path: Path) -> None:
    with session_folder() as one, session_folder() as other:
        assert one != other
        assert one.parent == other.parent == tmp_path
        (one / "session").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_driver_left_goes_with_the_next(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HELD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        with session_folder():
            assert left.is_dir()  # its driver lives
        process.kill()
    assert list(tmp_path.iterdir()) == [left]
    with session_folder():
        assert not left.exists()


AGENT = """
import sys, time
from pathlib import Path
Path("/proc/self/comm").write_text(sys.argv[1])
with open(sys.argv[2], "w") as log:
    print("writes", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("name", "ends"), [("ray::Agent", True), ("tail", False)])
def test_agents_that_a_killed_driver_left_end_with_the_next(name: str, ends: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", HELD], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        left = Path(driver.stdout.readline().strip())
        command = [sys.executable, "-c", AGENT, name, str(left / "agent.log")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as agent:
            assert agent.stdout
            agent.stdout.readline()
            with session_folder():
                assert agent.poll() is None, "its driver lives"
            driver.kill()
            driver.wait()
            with session_folder():
                if ends:
                    assert agent.wait(60) == -signal.SIGKILL
                else:
                    assert agent.poll() is None
            agent.kill()


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "thaw-benchmark-1").mkdir()
    (tmp_path / "thaw-notes").write_text("")
    with session_folder():
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"thaw-benchmark-1", "thaw-notes"}
