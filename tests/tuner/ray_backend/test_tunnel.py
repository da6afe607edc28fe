"""The way to a cluster's dashboard."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.ray_backend import tunnel
from tuner.ray_backend.tunnel import dashboard

FORWARDS = """
import http.server, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
assert sys.argv[1:3] == ["dashboard", {file!r}]
http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler).serve_forever()
"""
GIVES_UP = """
print("Failed to forward dashboard")
print(" The exception is: Head node of cluster (thaw) not found!")
raise SystemExit(1)
"""


@pytest.fixture
def cluster(tmp_path: Path) -> str:
    file = tmp_path / "cluster.yaml"
    file.write_text("cluster_name: thaw\nprovider: {type: local}\n")
    return str(file)


def test_a_url_is_taken_as_it_is() -> None:
    with dashboard("http://127.0.0.1:8265/") as url:
        assert url == "http://127.0.0.1:8265"


def test_a_port_of_this_machine_leads_to_the_head(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "_RAY", (sys.executable, "-c", FORWARDS.format(file=cluster)))
    with dashboard(cluster) as url:
        assert url.startswith("http://127.0.0.1:")


def test_a_head_that_is_not_there_is_told(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "_RAY", (sys.executable, "-c", GIVES_UP))
    with (
        pytest.raises(UserError, match=r"its head cannot be reached \(Head node of cluster \(thaw\) not found!\)"),
        dashboard(cluster),
    ):
        pass


def test_a_head_that_does_not_answer(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "_RAY", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(tunnel, "CONNECT_SECONDS", 0.3)
    with pytest.raises(UserError, match=r"does not answer within 0\.3 s"), dashboard(cluster):
        pass


def test_neither_a_file_nor_a_url() -> None:
    with (
        pytest.raises(UserError, match="--cluster head:8265: must be the file that `ray up` was given"),
        dashboard("head:8265"),
    ):
        pass


def test_a_manifest_is_told_how(tmp_path: Path) -> None:
    file = tmp_path / "kuberay.yaml"
    file.write_text("apiVersion: ray.io/v1\nkind: RayCluster\n")
    with pytest.raises(UserError, match="kubectl port-forward"), dashboard(str(file)):
        pass
