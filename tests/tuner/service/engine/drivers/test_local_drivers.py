"""Drivers as processes, with a small one in the place of `tuner`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tuner.service.engine.drivers.launcher import Handle
from tuner.service.engine.drivers.local import KEY, LocalDrivers

_DRIVER = """
import os, signal, subprocess, sys
print("argument", sys.argv[1], flush=True)
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid, flush=True)
if sys.argv[1] == "ends":
    print(sorted(name for name in os.environ if name.startswith("RAY_")), os.getsid(0) == os.getpid())
    sys.exit(7)
print("ready", flush=True)
signal.pause()
"""


def _until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@pytest.fixture
def drivers() -> Iterator[LocalDrivers]:
    made = LocalDrivers([sys.executable, "-c", _DRIVER], {"RAY_AUTH_MODE": "token"})
    yield made
    for child in made._children.values():
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "drivers" / "s1.log"


def _started(drivers: LocalDrivers, output: Path, argument: str, key: str = "s1") -> Handle:
    handle = drivers.start(key, [argument], output)
    _until(lambda: "ready" in output.read_text())
    return handle


def test_what_it_prints_and_how_it_ends_is_known(
    drivers: LocalDrivers, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "1.2.3.4:5")
    handle = drivers.start("s1", ["ends"], output)
    _until(lambda: not drivers.lives(handle))
    assert drivers.exit_code(handle) == 7
    assert output.read_text() == "argument ends\n['RAY_AUTH_MODE'] True\n"
    again = drivers.start("s1", ["ends"], output)
    _until(lambda: not drivers.lives(again))
    assert output.read_text().count("argument") == 2


def test_a_server_that_comes_later_finds_it(drivers: LocalDrivers, output: Path) -> None:
    handle = _started(drivers, output, "waits")
    later = LocalDrivers()
    assert later.lives(handle)
    assert later.find("s1") == handle
    assert later.find("s2") is None
    later.terminate(handle)
    _until(lambda: not drivers.lives(handle))
    assert drivers.exit_code(handle) == -signal.SIGTERM
    assert later.exit_code(handle) is None
    assert later.find("s1") is None


def test_all_that_it_has_started_is_killed_with_it(drivers: LocalDrivers, output: Path) -> None:
    handle = _started(drivers, output, "stubborn")
    (child,) = [int(line.split()[1]) for line in output.read_text().splitlines() if line.startswith("child")]
    drivers.terminate(handle)
    assert drivers.lives(handle)
    drivers.kill(handle)
    _until(lambda: not drivers.lives(handle))
    _until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_a_number_that_was_given_to_another_process_is_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, KEY: "s9"})
    try:
        drivers = LocalDrivers()
        handle = {"kind": "local", "number": other.pid, "started": "1", "machine": "of the last boot"}
        assert not drivers.lives(handle)
        drivers.terminate(handle)
        drivers.kill(handle)
        assert other.poll() is None
        assert drivers.find("s9") is None, "it leads no session: it is what a driver has started"
    finally:
        other.communicate()
    assert other.returncode is not None


@pytest.mark.parametrize("handle", [{}, {"number": 0}, {"number": "x"}, {"number": 1, "started": "", "machine": ""}])
def test_what_is_no_handle_is_no_process(handle: Handle) -> None:
    drivers = LocalDrivers()
    assert not drivers.lives(handle)
    drivers.kill(handle)
