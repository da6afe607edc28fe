"""What the cluster files run on nodes: that shells can read it, and that it exists."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from small_clusters import ROOT

from tuner.cluster.metadata import CLOUDS

RAY_UP = ["cluster.yaml", "deploy/gcp.yaml", "deploy/local.yaml"]


def commands(file: str) -> list[str]:
    config = YAML(typ="safe").load((ROOT / file).read_text(encoding="utf-8"))
    return [command for key, listed in config.items() if key.endswith("_commands") for command in listed]


@pytest.mark.parametrize("file", RAY_UP)
def test_shells_can_read_them_as_ray_gives_them(file: str) -> None:
    for command in commands(file):
        ran = subprocess.run(["bash", "-n", "-c", f"source ~/.bashrc; true && ({command})"], capture_output=True)
        assert ran.returncode == 0, command


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").glob("*.sh")), ids=lambda script: script.name)
def test_shells_can_read_the_scripts(script: Path) -> None:
    assert subprocess.run(["sh", "-n", script], capture_output=True).returncode == 0


@pytest.mark.parametrize("file", RAY_UP)
def test_modules_and_clouds_exist(file: str) -> None:
    modules = [found for command in commands(file) for found in re.findall(r"python -m (\S+) (\S+)", command)]
    assert all(find_spec(module) for module, _ in modules)
    assert all(cloud in CLOUDS for module, cloud in modules if module == "tuner.cluster.notices")


@pytest.mark.parametrize("file", [*RAY_UP, "deploy/Containerfile", "deploy/service/Containerfile", "deploy/install.sh"])
def test_extras_that_are_installed_exist(file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / file).read_text(encoding="utf-8")
    asked = re.findall(r"(?:install\.sh |'\.\[|\$\{1:-)([a-z0-9,]+)", text)
    assert asked
    assert {extra for extras in asked for extra in extras.split(",")} <= set(project["optional-dependencies"])


@pytest.mark.parametrize("file", RAY_UP)
def test_the_dashboard_stays_on_loopback(file: str) -> None:
    (start,) = [command for command in commands(file) if "ray start --head" in command]
    assert "--dashboard-host=127.0.0.1" in start


def test_pods_that_end_drain_their_node() -> None:
    pods = YAML(typ="safe").load((ROOT / "deploy" / "kuberay.yaml").read_text())["spec"]["workerGroupSpecs"]
    hook = pods[0]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert hook == ["python", "-m", "tuner.cluster.notices", "kubernetes"]
    assert "kubernetes" in CLOUDS
