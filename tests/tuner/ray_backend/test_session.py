"""Which Ray a search runs on."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from trainable.errors import UserError
from tuner.ray_backend.address import Head
from tuner.ray_backend.session import ray_session

HEAD = Head("--address head:6379", "head", 6379)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The one node that the head knows of."""
    found = SimpleNamespace(node_manager_address="127.0.0.1", state=0, ALIVE=0)
    client = SimpleNamespace(get_all_node_info=lambda timeout: {"a": found})  # noqa: ARG005
    monkeypatch.setattr(ray, "_raylet", SimpleNamespace(GcsClient=lambda address: client))  # noqa: ARG005
    return found


def init_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> None:  # noqa: ARG001
        raise error

    monkeypatch.setattr(ray, "init", refuse)


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionError("Could not connect to head:6379\nand more"), r"cannot be joined \(Could not connect"),
        (RuntimeError("Version mismatch: The cluster was started with:\n  Ray: 2.9"), "Version mismatch: .* Ray: 2.9;"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_one_line(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    init_raises(error, monkeypatch)
    with pytest.raises(UserError, match=rf"--address head:6379: .*{told}") as caught, ray_session(HEAD):
        pass
    assert len(caught.value.mistakes) == 1
    assert "and more" not in caught.value.mistakes[0]


def test_a_machine_that_is_no_node_is_told_so(node: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    init_raises(AssertionError(), monkeypatch)
    node.node_manager_address = "192.0.2.77"
    with (
        pytest.raises(UserError, match=r"this machine is no node of that cluster \(192.0.2.77\); run on its head"),
        ray_session(HEAD),
    ):
        pass


@pytest.mark.parametrize("before", [None, "disabled"])
def test_what_ray_decides_about_tokens_is_for_that_session_only(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", before or "")
    if before is None:
        monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setattr(ray, "init", lambda **_: os.environ.update({"RAY_AUTH_MODE": "token"}))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with ray_session():
        assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ.get("RAY_AUTH_MODE") == before
