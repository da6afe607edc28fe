"""`deploy/service/on_head.sh`: one server on a head, the newest."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML
from small_clusters import ROOT, filled

from tuner.proved_cluster import prove_cluster


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Of a user whose `tuner serve` says what it was given, and waits."""
    (tmp_path / "bin").mkdir()
    tuner = tmp_path / "bin" / "tuner"
    tuner.write_text('#!/bin/sh\necho "$@"\nexec -a "tuner serve $$" sleep 600\n'.replace("#!/bin/sh", "#!/bin/bash"))
    tuner.chmod(0o755)
    yield tmp_path
    os.kill(int((tmp_path / "serve.pid").read_text()), signal.SIGKILL)


def start(home: Path, *options: str) -> int:
    """The process's id, once it has said something."""
    environment = {**os.environ, "HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    script = ROOT / "deploy" / "service" / "on_head.sh"
    subprocess.run(["sh", script, *options], env=environment, check=True, timeout=60)
    log, until = home / "serve.log", time.monotonic() + 30
    while not (log.exists() and " ".join(options) in log.read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    return int((home / "serve.pid").read_text())


def test_a_later_server_takes_the_place_of_an_earlier_one(home: Path) -> None:
    first = start(home, "--data-root", "/data")
    second = start(home, "--port", "9000")
    assert (home / "serve.log").read_text().splitlines() == [
        f"serve --address auto --state {home}/thaw-service --data-root /data",
        f"serve --address auto --state {home}/thaw-service --port 9000",
    ]
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE
    assert os.getsid(second) == second  # it outlives the shell that started it


def test_a_number_that_is_another_process_by_now_is_left_alone(home: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        (home / "serve.pid").write_text(f"{other.pid}\n")
        start(home, "--port", "1")
        assert other.poll() is None
        other.kill()


def test_the_service_of_a_head_on_kubernetes_is_well_formed(tmp_path: Path) -> None:
    """What is commented out in the manifest, with the comments removed."""
    lines = filled("deploy/kuberay.yaml").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.strip() == "# lifecycle:")
    end = next(number for number, line in enumerate(lines) if number > begin and "#" not in line)
    told = [line.replace("# ", "", 1) if begin <= number < end else line for number, line in enumerate(lines)]
    file = tmp_path / "kuberay.yaml"
    file.write_text("\n".join(told))
    prove_cluster(file, 1.0, None)
    head = YAML(typ="safe").load(file)["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    shell, option, command = head["lifecycle"]["postStart"]["exec"]["command"]
    assert (shell, option) == ("sh", "-c")
    assert subprocess.run([shell, "-n", option, command], capture_output=True).returncode == 0
    assert "tuner serve --address auto" in command
