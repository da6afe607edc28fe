"""`deploy/install.sh` on a host without internet whose Python has all packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from small_clusters import ROOT

pytestmark = pytest.mark.real


def test_a_host_that_has_the_packages_needs_no_internet(tmp_path: Path) -> None:
    mounts = YAML(typ="safe").load((ROOT / "deploy" / "local.yaml").read_text())["file_mounts"]
    for remote, local in mounts.items():
        copy = shutil.copytree if (ROOT / local).is_dir() else shutil.copy
        (tmp_path / "thaw").mkdir(exist_ok=True)
        copy(ROOT / local, tmp_path / remote.removeprefix("~/"))
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "http_proxy": "http://127.0.0.1:1",
        "https_proxy": "http://127.0.0.1:1",
    }

    def shell(command: str) -> str:
        ran = subprocess.run(
            ["sh", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    for _ in range(2):  # `ray up` does it again after a change
        shell("echo 'export THAW_RESULTS=/mnt/x' > ~/thaw.env")
        shell("sh ~/thaw/deploy/install.sh")
    module = 'python3 -c "import tuner as found; print(found.__file__)"'
    where = shell(f'. ~/.bashrc && echo "$THAW_RESULTS" && command -v tuner && {module}')
    assert where.split() == ["/mnt/x", f"{tmp_path}/thaw-site/bin/tuner", f"{tmp_path}/thaw-site/tuner/__init__.py"]
    assert shell('. ~/thaw.env && echo "$RAY_AUTH_MODE"') == "disabled\n"
    assert shell('RAY_AUTH_MODE=token; . ~/thaw.env && echo "$RAY_AUTH_MODE"') == "token\n"
    assert shell(". ~/.profile && tuner spaces").startswith("space")
    assert (tmp_path / ".bashrc").read_text().count("thaw.env") == 1
