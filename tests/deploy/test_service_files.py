"""What `deploy/service/` starts exists, and is well formed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from small_clusters import ROOT

from tuner.cli import app
from tuner.service.settings import ServiceSettings

FOLDER = ROOT / "deploy" / "service"
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group
PORT = ServiceSettings.model_fields["port"].default


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def started() -> Iterator[list[str]]:
    """The arguments of `tuner` in each of the files."""
    yield json.loads(re.findall(r"^CMD (.+)$", text("Containerfile"), re.MULTILINE)[-1])
    for line in re.findall(r"^ExecStart=\S+/tuner (.+)$", text("thaw.service"), re.MULTILINE):
        yield shlex.split(line)
    for line in re.findall(r"nohup tuner (.+) >>", text("on_head.sh")):
        yield shlex.split(line.replace('"$@"', ""))
    for lines in re.findall(r"tuner (serve [^;]+);$", (ROOT / "deploy" / "kuberay.yaml").read_text(), re.MULTILINE):
        yield shlex.split(lines.replace("#", ""))
    for name in ("cluster.yaml", "deploy/gcp.yaml", "deploy/local.yaml"):
        for line in re.findall(r"on_head\.sh (.+)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE):
            yield ["serve", *shlex.split(line)]


@pytest.mark.parametrize("arguments", started(), ids=" ".join)
def test_what_is_started_is_understood(arguments: list[str]) -> None:
    verb, *options = arguments
    assert verb == "serve"
    COMMANDS[verb].make_context(verb, options)


def test_proxies_and_health_checks_ask_at_the_port_that_is_served() -> None:
    for name in ("Containerfile", "nginx.conf", "Caddyfile"):
        assert set(re.findall(r"127\.0\.0\.1:(\d+)", text(name))) == {str(PORT)}, name
    assert f"EXPOSE {PORT}" in text("Containerfile")


def test_streams_are_not_held_back_by_proxies() -> None:
    assert "proxy_buffering off;" in text("nginx.conf")
    assert "flush_interval -1" in text("Caddyfile")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "thaw.service"
    unit.write_text(text("thaw.service").replace("/opt/thaw/bin/tuner", sys.executable))
    ran = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.real
def test_what_the_container_copies_is_enough(tmp_path: Path) -> None:
    """Installed from those files alone, the package has all that the server reads."""
    for line in re.findall(r"^COPY (.+)$", text("Containerfile"), re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, tmp_path / (source if target == "./" else target))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps"]
    subprocess.run([*install, "--target", tmp_path / "site", tmp_path], check=True, timeout=120)

    def files(folder: Path) -> set[str]:
        rooms = [folder / "tuner", folder / "search_spaces", folder / "trainable"]
        return {
            path.relative_to(folder).as_posix()
            for room in rooms
            for path in room.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert files(tmp_path / "site") == files(ROOT)
