"""Several hosts on one Linux machine: namespaces with an address, a disk and an sshd each, on a bridge without uplink.

Nothing of the machine's own network or ssh is changed. README.md tells what a host has.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from host import Host, call, kill, make_key, write_disks

DEFAULT_FOLDER = Path("/tmp/netlab")
DEFAULT_HOSTS = ("client", "head", "w1", "w2")
SUBNET = "10.77.77"
TOOLS = ("ip", "unshare", "nsenter", "ssh", "ssh-keygen", "rsync", "/usr/sbin/sshd")
SSHD_SECONDS = 10.0
LAB_JSON = "lab.json"


def why_not() -> str:
    """Why there can be no lab on this machine; empty: there can."""
    if sys.platform != "linux" or os.geteuid():
        return "needs Linux and root"
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"needs {', '.join(missing)}: apt-get install iproute2 util-linux openssh-server rsync"
    tried = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    return f"namespaces are not allowed: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass
class Lab:
    """Hosts that are there; what another process must know of them is in `folder`."""

    folder: Path
    """of the hosts' disks and of `shared`, which is /mnt/shared on every host"""
    prefix: str
    """of the names of its network namespaces"""
    venv: Path | None = None
    """first on every host's PATH; each host may change its own copy"""
    hosts: dict[str, Host] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Lab:
        """The lab that another process has built. Raises FileNotFoundError."""
        told = json.loads((folder / LAB_JSON).read_text())
        venv = Path(told["venv"]) if told["venv"] else None
        return cls(folder, told["prefix"], venv, {name: Host(**host) for name, host in told["hosts"].items()})

    @property
    def shared(self) -> Path:
        return self.folder / "shared"

    def disk(self, host: str) -> Path:
        """Where a host's /tmp, /root and /etc are, seen from outside."""
        return self.folder / "hosts" / host

    def build(self, names: Sequence[str] = DEFAULT_HOSTS, show: Sequence[Path] = ()) -> None:
        """Bring the hosts up, from nothing.

        Args:
            names: of the hosts, in the order of their addresses from SUBNET.10 on
            show: trees below /tmp or /root that hosts see at the same path, and cannot change
        """
        self.shared.mkdir(parents=True)
        keys = self.folder / "keys"
        keys.mkdir()
        make_key(keys / "id_ed25519", "netlab")
        self.hosts = {name: Host(name, f"{SUBNET}.{10 + place}") for place, name in enumerate(names)}
        self._save()
        self._lay_switch()
        addresses = "".join(f"{host.address} {host.name}\n" for host in self.hosts.values())
        trees = [*show, *([_base_of(self.venv)] if self.venv else [])]
        for name, host in self.hosts.items():
            self._connect(host)
            write_disks(self.disk(name), name, f"127.0.0.1 localhost\n{addresses}", keys, trees, self.venv)
        for name in names:
            self._boot(name)
        for name in names:
            self._wait_for_sshd(name)

    def destroy(self) -> None:
        """End all processes of the hosts and remove all that they had. Raises RuntimeError where a mount is left."""
        for host in self.hosts.values():
            host.switch_off()
        for namespace in self._namespaces():
            pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True).stdout
            for pid in pids.split():
                kill(int(pid))
            call("ip", "netns", "del", namespace)
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        if any(mount.split()[4].startswith(f"{self.folder}/") for mount in mounts):
            raise RuntimeError(f"something is mounted below {self.folder}, which is therefore left")
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(
        self, host: str, *command: str, check: bool = True, timeout_seconds: float | None = 180
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a host, as a login of root does, its stderr among its stdout.

        Raises:
            CalledProcessError: it failed, where `check`.
            TimeoutExpired: it took longer.
        """
        done = subprocess.run(
            self.command(host, *command),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
        )
        if check and done.returncode:
            sys.stderr.write(done.stdout)
            done.check_returncode()
        return done

    def command(self, host: str, *command: str) -> list[str]:
        """What to run on the machine so that `command` runs in a host. Raises RuntimeError where it is off."""
        if not self.hosts[host].is_on:
            raise RuntimeError(f"host {host} is off")
        return self.hosts[host].enter(command, self.venv)

    def switch_off(self, host: str) -> None:
        """Cut its power: every process of it is gone at once, its disk stays."""
        self.hosts[host].switch_off()
        self._save()

    def switch_on(self, host: str) -> None:
        if not self.hosts[host].is_on:
            self._boot(host)
            self._wait_for_sshd(host)

    def cut(self, host: str) -> None:
        """Pull its network cable: nobody is told."""
        self._set_link(host, "down")

    def heal(self, host: str) -> None:
        """Plug its network cable in again."""
        self._set_link(host, "up")

    @property
    def _switch(self) -> str:
        return f"{self.prefix}-switch"

    def _lay_switch(self) -> None:
        switch = self._switch
        call("ip", "netns", "add", switch)
        call("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
        call("ip", "-n", switch, "addr", "add", f"{SUBNET}.1/24", "dev", "br0")
        call("ip", "-n", switch, "link", "set", "br0", "up")

    def _connect(self, host: Host) -> None:
        """Give a host a network card, and a cable to the switch."""
        own, switch, port = f"{self.prefix}-{host.name}", self._switch, _port(host.name)
        call("ip", "netns", "add", own)
        call("ip", "link", "add", "eth0", "netns", own, "type", "veth", "peer", "name", port, "netns", switch)
        call("ip", "-n", switch, "link", "set", port, "master", "br0", "up")
        call("ip", "-n", own, "addr", "add", f"{host.address}/24", "dev", "eth0")
        call("ip", "-n", own, "link", "set", "lo", "up")
        call("ip", "-n", own, "link", "set", "eth0", "up")
        # Ray asks the kernel from which address it would reach one outside
        call("ip", "-n", own, "route", "add", "default", "via", f"{SUBNET}.1")

    def _set_link(self, host: str, state: str) -> None:
        call("ip", "-n", self._switch, "link", "set", _port(self.hosts[host].name), state)

    def _boot(self, host: str) -> None:
        self.hosts[host].boot(f"{self.prefix}-{host}", self.disk(host), self.venv)
        self._save()

    def _wait_for_sshd(self, host: str) -> None:
        quiet = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        login = ["ssh", "-o", "BatchMode=yes", *quiet, f"root@{self.hosts[host].address}", "hostname"]
        until = time.monotonic() + SSHD_SECONDS
        while self.hosts[host].is_on and time.monotonic() < until:
            answer = self.run(host, *login, check=False)
            if answer.returncode == 0 and answer.stdout.strip() == host:
                return
            time.sleep(0.05)
        raise RuntimeError(f"no sshd answers on {host}: {self.disk(host) / 'init.log'}")

    def _namespaces(self) -> list[str]:
        names = [line.split()[0] for line in call("ip", "netns", "list").splitlines() if line.strip()]
        return [name for name in names if name.startswith(f"{self.prefix}-")]

    def _save(self) -> None:
        hosts = {name: asdict(host) for name, host in self.hosts.items()}
        told = {"prefix": self.prefix, "venv": str(self.venv or ""), "hosts": hosts}
        (self.folder / LAB_JSON).write_text(json.dumps(told, indent=1))


@contextmanager
def built_lab(folder: Path, prefix: str, venv: Path | None, show: Sequence[Path] = ()) -> Iterator[Lab]:
    """A lab of DEFAULT_HOSTS for as long as the block runs."""
    lab = Lab(folder, prefix, venv)
    try:
        lab.build(show=show)
        yield lab
    finally:
        lab.destroy()


def _port(host: str) -> str:
    """The name of a host's port at the switch; the kernel takes 15 characters."""
    return f"p-{host}"[:15]


def _base_of(venv: Path) -> Path:
    """The installation that a virtual environment's Python is a link to, perhaps below /root."""
    return Path(call(f"{venv}/bin/python", "-c", "import sys; print(sys.base_prefix)").strip())
