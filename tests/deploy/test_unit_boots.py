"""`deploy/service/thaw.service` under a systemd of its own: `pytest -m long tests/deploy/test_unit_boots.py`, as root.

Debian 12 is fetched by debootstrap, into THAW_DEBIAN if that is set, and booted in systemd-nspawn without a network.
Thaw is installed as docs/service.md says, but that packages are shown to it, not downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_clusters import ROOT
from small_searches import write_labels_csv
from small_servers import space_yaml

pytestmark = pytest.mark.long
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter")
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,libgomp1"
PARTS = ("pyproject.toml", "README.md", "LICENSE", "trainable", "search_spaces", "tuner", "deploy")
URL = "http://127.0.0.1:8420"
PATH = "/opt/thaw/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TRIALS, EPOCHS = 6, 40
KEPT = os.environ.get("THAW_DEBIAN", "")
"""read here: within tests the environment is their own"""


class Machine:
    """One that is on."""

    def __init__(self, root: Path, boot: subprocess.Popen[bytes]) -> None:
        self._root = root
        self._boot = boot

    def run(self, *command: str, check: bool = True) -> str:
        """What a command of root prints there. Raises CalledProcessError where it fails and that matters."""
        (leader, *_) = psutil.Process(self._boot.pid).children()
        into = ["nsenter", "--target", str(leader.pid), "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup"]
        settings = ["env", "-i", "--chdir=/", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8"]
        ran = subprocess.run([*into, *settings, *command], capture_output=True, text=True, timeout=240, check=False)
        if check and ran.returncode:
            raise AssertionError(f"{command}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def wait(self, what: str, condition: Callable[[], object], seconds: float = 240) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"{what}: {self.run('journalctl', '--unit=thaw', '--no-pager')[-3000:]}"
            time.sleep(0.2)

    def is_up(self) -> bool:
        return bool(psutil.Process(self._boot.pid).children()) and "running" in self.run(
            "systemctl", "is-system-running", check=False
        )

    def is_ready(self) -> bool:
        asked = f"import urllib.request as r; print(r.urlopen('{URL}/readyz').status)"
        return "200" in self.run("python3", "-c", asked, check=False)

    def told(self, name: str, *kinds: str) -> list[dict[str, Any]]:
        """A search's events of these kinds."""
        log = self._root / "var" / "lib" / "thaw" / "results" / name / "events.jsonl"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in events if event["kind"] in kinds]

    def of_service(self, name: str) -> str:
        """A property of the unit."""
        return self.run("systemctl", "show", "thaw", f"--property={name}", "--value").strip()


def made(root: Path) -> None:
    """Debian, with a user, Thaw and the unit in it."""
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root], check=True)


def installed(root: Path, folder: Path) -> None:
    """As docs/service.md has it."""
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    offline = ["--quiet", "--no-index", "--no-deps"]
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        *offline,
        "--no-build-isolation",
        "--wheel-dir",
        root / "opt",
        source,
    ]
    subprocess.run(wheel, check=True)
    (built,) = (root / "opt").glob("*.whl")
    for command in (
        ["useradd", "--system", "--home-dir", "/var/lib/thaw", "thaw"],
        ["python3", "-m", "venv", "/opt/thaw"],
        ["/opt/thaw/bin/pip", "install", *offline, f"/opt/{built.name}"],
    ):
        subprocess.run(["chroot", root, *command], check=True)
    packages = root / "opt" / "thaw" / "lib" / "python3.11" / "site-packages"
    (packages / "shown.pth").write_text("/opt/packages\n")
    units = root / "etc" / "systemd" / "system"
    shutil.copy(source / "deploy" / "service" / "thaw.service", units)
    write_labels_csv(root / "srv" / "data" / "tinted")
    (root / "srv" / "space.yaml").write_text(space_yaml(EPOCHS))


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if os.geteuid() or any(shutil.which(tool) is None for tool in TOOLS):
        pytest.skip(f"needs root and {', '.join(TOOLS)}: apt-get install debootstrap systemd-container")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("Debian 12 has Python 3.11, and is shown this one's packages")
    with tempfile.TemporaryDirectory(prefix="unit") as made_folder:
        folder = Path(made_folder)
        root = folder / "root"
        if KEPT:
            if not Path(KEPT).exists():
                made(Path(KEPT))
            subprocess.run(["cp", "--archive", KEPT, root], check=True)
        else:
            made(root)
        installed(root, folder)
        options = ["--quiet", "--register=no", "--keep-unit", "--private-network", f"--directory={root}"]
        shown = f"--bind-ro={sysconfig.get_path('purelib')}:/opt/packages"
        with (folder / "boot.log").open("wb") as log:
            boot = subprocess.Popen(
                ["systemd-nspawn", *options, shown, "--boot"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            found = Machine(root, boot)
            found.wait("it is up", found.is_up, 120)
            yield found
        finally:
            boot.send_signal(signal.SIGTERM)
            boot.wait(60)


def submit(machine: Machine, name: str) -> None:
    options = [
        "--data",
        "tinted",
        "--name",
        name,
        "--trials",
        str(TRIALS),
        "--tracking",
        "off",
        "--offline",
        "--remote",
    ]
    machine.run("tuner", "submit", "/srv/space.yaml", *options)
    machine.wait(f"{name} trains", lambda: machine.told(name, "epoch"))
    assert not machine.told(name, "search_ended")


def assert_is_whole(machine: Machine, name: str) -> None:
    machine.wait(f"{name} is complete", lambda: "complete" in [e["status"] for e in machine.told(name, "search_ended")])
    epochs = Counter((event["trial"], event["epoch"]) for event in machine.told(name, "epoch"))
    assert set(epochs.values()) == {1}
    ended = [event for event in machine.told(name, "trial_ended") if event["status"] != "paused"]
    assert len({event["trial"] for event in ended}) == len(ended) == TRIALS


def test_the_unit_starts(machine: Machine) -> None:
    machine.run("systemctl", "enable", "--now", "thaw")
    machine.wait("the service is ready", machine.is_ready)
    machine.run("tuner", "login", URL)
    machine.run("tuner", "upload", "/srv/data/tinted", "--name", "tinted")
    raylets = machine.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
    assert "--plasma_directory=/dev/shm" in raylets.splitlines()


def test_a_search_goes_on_after_a_restart(machine: Machine) -> None:
    submit(machine, "restarted")
    machine.run("systemctl", "restart", "thaw")
    assert_is_whole(machine, "restarted")
    assert machine.told("restarted", "search_resumed")


def test_a_search_outlives_the_server(machine: Machine) -> None:
    submit(machine, "outliving")
    before = machine.of_service("MainPID")
    machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "thaw")
    machine.wait("it is started again", lambda: machine.of_service("MainPID") not in (before, "0"))
    machine.wait("the service is ready", machine.is_ready)
    assert_is_whole(machine, "outliving")
    assert not machine.told("outliving", "search_resumed")  # by the same driver
    assert machine.of_service("NRestarts") == "1"


def test_others_come_with_tokens_and_nothing_is_left(machine: Machine) -> None:
    token = ["tuner", "token", "create", "ada", "--scope", "admin", "--state", "/var/lib/thaw/state"]
    machine.run("runuser", "-u", "thaw", "--", *[f"/opt/thaw/bin/{token[0]}", *token[1:]])
    asked = f"import urllib.request as r; r.urlopen('{URL}/v1/searches')"
    assert "200" not in machine.run("python3", "-c", asked, check=False)
    machine.run("systemctl", "stop", "thaw")
    assert machine.of_service("Result") == "success"
    assert machine.run("find", "/proc", "-maxdepth", "1", "-user", "thaw", check=False) == ""
