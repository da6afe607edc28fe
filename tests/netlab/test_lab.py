"""Hosts in namespaces behave as hosts do: reached by ssh, switched off, cut off, and gone without a trace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, built_lab, why_not

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if reason := why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("netlab") / "lab"
    with built_lab(folder, f"t{os.getpid()}", venv=None) as lab:
        yield lab
    assert not folder.exists()
    assert f"t{os.getpid()}-" not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout


def ssh(lab: Lab, host: str, *command: str) -> subprocess.CompletedProcess[str]:
    options = [
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "LogLevel=ERROR",
        "-o",
        "ConnectTimeout=1",
    ]
    return lab.run("client", "ssh", *options, host, *command, check=False)


def test_hosts_log_in_to_each_other(lab: Lab) -> None:
    assert [ssh(lab, host, "hostname").stdout for host in ("head", "w1", "w2")] == ["head\n", "w1\n", "w2\n"]


def test_a_host_has_its_own_files_and_processes_and_one_folder_of_all(lab: Lab) -> None:
    ssh(lab, "w1", "touch /tmp/own /root/own /mnt/shared/ours")
    assert ssh(lab, "w2", "ls /tmp /root /mnt/shared").stdout.split() == ["/mnt/shared:", "ours", "/root:", "/tmp:"]
    assert (lab.disk("w1") / "tmp" / "own").exists()
    assert int(ssh(lab, "w2", "ls -d /proc/[0-9]* | wc -l").stdout) < 10


def test_a_command_begins_in_the_hosts_own_home(lab: Lab) -> None:
    ssh(lab, "head", "touch /root/at-home")
    assert lab.run("head", "cat", "at-home", check=False).returncode == 0


def test_a_host_that_was_switched_off_keeps_its_disk(lab: Lab) -> None:
    ssh(lab, "w1", "touch /root/kept")
    lab.switch_off("w1")
    assert ssh(lab, "w1", "true").returncode == 255
    assert not Lab.load(lab.folder).hosts["w1"].is_on
    lab.switch_on("w1")
    assert ssh(lab, "w1", "ls /root/kept").stdout == "/root/kept\n"


def test_a_host_without_cable_runs_on_unreached(lab: Lab) -> None:
    lab.cut("w2")
    assert ssh(lab, "w2", "true").returncode == 255
    assert lab.run("w2", "hostname").stdout == "w2\n"
    lab.heal("w2")
    assert ssh(lab, "w2", "true").returncode == 0


def test_a_lab_does_not_read_the_machines_tmp(lab: Lab, tmp_path: Path) -> None:
    assert lab.run("head", "ls", str(tmp_path), check=False).returncode != 0
