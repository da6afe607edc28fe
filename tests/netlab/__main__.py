"""python tests/netlab up | exec | off | on | cut | heal | status | down"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from lab import DEFAULT_FOLDER, DEFAULT_HOSTS, Lab, why_not

PREFIX = "lab"


def up(given: argparse.Namespace) -> None:
    if reason := why_not():
        sys.exit(reason)
    down(given)
    began = time.monotonic()
    lab = Lab(given.folder, PREFIX, given.venv and given.venv.absolute())
    lab.build(given.hosts.split(","), [tree.absolute() for tree in given.show])
    print(f"{len(lab.hosts)} hosts are up after {time.monotonic() - began:.1f} s")
    status(given)


def down(given: argparse.Namespace) -> None:
    try:
        lab = Lab.load(given.folder)
    except FileNotFoundError:
        lab = Lab(given.folder, PREFIX)
    lab.destroy()


def status(given: argparse.Namespace) -> None:
    for host in Lab.load(given.folder).hosts.values():
        print(f"{host.name:8} {host.address:14} {f'on, its PID 1 is {host.pid}' if host.is_on else 'off'}")


def execute(given: argparse.Namespace) -> None:
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    sys.exit(subprocess.run(Lab.load(given.folder).command(given.host, *command)).returncode)


def main() -> None:
    options = argparse.ArgumentParser(prog="python tests/netlab", description="Hosts in namespaces on this machine.")
    options.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help=f"default: {DEFAULT_FOLDER}")
    verbs = options.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("up", help="bring hosts up, from nothing")
    build.add_argument("--hosts", default=",".join(DEFAULT_HOSTS))
    build.add_argument("--venv", type=Path, help="an environment with Ray; each host has its own copy")
    build.add_argument("--show", type=Path, action="append", default=[], help="a tree below /tmp or /root to be read")
    build.set_defaults(act=up)
    verbs.add_parser("down", help="end and remove all of it").set_defaults(act=down)
    verbs.add_parser("status").set_defaults(act=status)
    inside = verbs.add_parser("exec", help="run a command in a host")
    inside.add_argument("host")
    inside.add_argument("command", nargs=argparse.REMAINDER)
    inside.set_defaults(act=execute)
    for verb, act, does in (
        ("off", Lab.switch_off, "cut a host's power"),
        ("on", Lab.switch_on, "give it power again"),
        ("cut", Lab.cut, "pull its network cable"),
        ("heal", Lab.heal, "plug it in again"),
    ):
        one = verbs.add_parser(verb, help=does)
        one.add_argument("host")
        one.set_defaults(act=lambda given, act=act: act(Lab.load(given.folder), given.host))
    given = options.parse_args()
    given.act(given)


if __name__ == "__main__":
    main()
