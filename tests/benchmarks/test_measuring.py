"""What a command costs, whoever its processes belong to when they end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.measuring import Cost, measure

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
TOLERANCE = 0.15
"""seconds; an interpreter starts and ends in far less"""


def cost_of(program: str, folder: Path) -> Cost:
    return measure([sys.executable, "-c", program], log=folder / "log", environment=os.environ, folder=folder)


def starting(child: str, then: str) -> str:
    return f"import os, signal, subprocess, sys\nargs = [sys.executable, '-c', {child!r}]\n{then}"


def test_a_child_that_is_awaited_counts_once(tmp_path: Path) -> None:
    cost = cost_of(starting(BURN.format(seconds=0.2), "subprocess.run(args)"), tmp_path)
    assert cost.cpu == pytest.approx(0.2, abs=TOLERANCE)


def test_an_orphan_counts(tmp_path: Path) -> None:
    cost = cost_of(starting(BURN.format(seconds=0.4), "subprocess.Popen(args, start_new_session=True)"), tmp_path)
    assert cost.cpu == pytest.approx(0.4, abs=TOLERANCE)
    assert cost.wall < cost.cpu  # which ended after the command


def test_a_child_of_a_parent_that_ignores_its_end_counts(tmp_path: Path) -> None:
    then = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nsubprocess.Popen(args).wait()"
    cost = cost_of(starting(BURN.format(seconds=0.5), then), tmp_path)
    assert cost.cpu == pytest.approx(0.5, abs=TOLERANCE + 0.1)


def test_nothing_is_left(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    then = f"subprocess.Popen(args)\nwhile not os.path.exists({str(pid_file)!r}): pass\nos._exit(3)"
    with pytest.raises(Exception, match="exit status 3"):
        cost_of(starting(child, then), tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_time_until_an_instant_lies_between_two_looks() -> None:
    cost = Cost(wall=4.0, cpu=6.0, timeline=[(1.0, 1.0), (3.0, 5.0)])
    assert cost.cpu_until(2.0) == pytest.approx(3.0)
    assert cost.cpu_until(3.5) == pytest.approx(5.5)
    assert cost.cpu_until(9.0) == 6.0
