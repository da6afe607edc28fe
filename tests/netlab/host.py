"""A host in namespaces: its files, its power switch, commands in it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INIT = Path(__file__).with_name("init.sh")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SSHD_CONFIG = """\
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
MaxStartups 100:30:200
MaxSessions 100
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""
# pip reads `no-build-isolation = false` as "do not isolate"
PIP_CONF = "[global]\nno-index = true\nno-build-isolation = false\n"
BOOT_SECONDS = 10.0


@dataclass
class Host:
    """One that is on while a process of this number and start time is its PID 1."""

    name: str
    address: str
    pid: int | None = None
    started: str | None = None
    """as the kernel tells it; numbers are used again"""

    @property
    def is_on(self) -> bool:
        return self.pid is not None and start_time(self.pid) == self.started

    def boot(self, namespace: str, folder: Path, venv: Path | None) -> None:
        """Switch it on, on the disks in `folder`. Raises RuntimeError where it does not start."""
        into = ["ip", "netns", "exec", namespace]
        apart = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        with (folder / "init.log").open("ab") as log:
            starter = subprocess.Popen(
                [*into, *apart, "bash", str(INIT), str(folder), self.name, str(venv or "")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
            )
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        until = time.monotonic() + BOOT_SECONDS
        while starter.poll() is None and time.monotonic() < until:
            if found := children.read_text().split():  # `ip` has become unshare, whose only child is PID 1
                self.pid, self.started = int(found[0]), start_time(int(found[0]))
                return
            time.sleep(0.01)
        raise RuntimeError(f"host {self.name} did not start: {folder / 'init.log'}")

    def switch_off(self) -> None:
        """As by a power cut: all its processes are gone at once."""
        if self.pid is not None and self.started is not None:
            kill(self.pid, self.started)
        self.pid = self.started = None

    def enter(self, command: Sequence[str], venv: Path | None) -> list[str]:
        """The command that runs `command` in it, as a login of root does."""
        path = f"{venv}/bin:{SYSTEM_PATH}" if venv else SYSTEM_PATH
        variables = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "PATH": path}
        variables |= {"LANG": "C.UTF-8", "TERM": "dumb", "RAY_USAGE_STATS_ENABLED": "0"}
        settings = [f"{name}={value}" for name, value in variables.items()]
        namespaces = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid"]
        # nsenter would go to the folder of the machine
        return [*namespaces, "env", "-i", "--chdir=/root", *settings, *command]


def write_disks(folder: Path, name: str, hosts_file: str, keys: Path, shown: Sequence[Path], venv: Path | None) -> None:
    """A new host's own files: /etc, /root, /tmp; `keys` holds the key pair that logs in everywhere."""
    for part in ("tmp", "root/.ssh", "root/.config/pip", "etc/ssh", "venv/upper", "venv/work"):
        (folder / part).mkdir(parents=True)
    for part, mode in (("tmp", 0o1777), ("root", 0o700), ("root/.ssh", 0o700)):
        (folder / part).chmod(mode)
    exports = "export RAY_USAGE_STATS_ENABLED=0 LANG=C.UTF-8\n"
    files = {
        "shown": "".join(f"{tree}\n" for tree in shown),
        "etc/hosts": hosts_file,
        "etc/hostname": f"{name}\n",
        "etc/resolv.conf": "# no resolver here\n",
        "etc/ssh/ssh_config": "",
        "etc/ssh/sshd_config": SSHD_CONFIG,
        "root/.bashrc": exports + (f"export PATH={shlex.quote(str(venv))}/bin:$PATH\n" if venv else ""),
        "root/.profile": '[ -n "$BASH_VERSION" ] && . ~/.bashrc\n',
        "root/.config/pip/pip.conf": PIP_CONF,
    }
    for file, text in files.items():
        (folder / file).write_text(text)
    shutil.copy(keys / "id_ed25519.pub", folder / "root/.ssh/authorized_keys")
    shutil.copy(keys / "id_ed25519", folder / "root/.ssh/id_ed25519")
    make_key(folder / "etc/ssh/ssh_host_ed25519_key", name)


def make_key(file: Path, comment: str) -> None:
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file))


def call(*command: str) -> str:
    """What a command of the machine prints. Raises CalledProcessError where it fails."""
    done = subprocess.run(command, check=True, text=True, capture_output=True)
    return done.stdout


def start_time(pid: int) -> str | None:
    """When a process began, in clock ticks since boot; None: there is none of this number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def kill(pid: int, started: str | None = None) -> None:
    """End a process, if it is still the one that began then, and wait until it is gone."""
    found = start_time(pid)
    if found is None or found != (started or found):
        return
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + BOOT_SECONDS
    while start_time(pid) == found and time.monotonic() < until:
        time.sleep(0.02)
