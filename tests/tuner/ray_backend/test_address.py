"""Addresses of clusters: found, or refused in one line and soon."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from ray._private import utils

from trainable.errors import UserError
from tuner.ray_backend import address
from tuner.ray_backend.address import find_head

SETTINGS_FRAME = bytes(3) + b"\x04" + bytes(5)
Serve = Callable[[bytes], int]


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(address, "PROBE_SECONDS", 0.2)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """serve(answer): a port of this machine that says so to whoever connects."""
    with contextlib.ExitStack() as held:

        def start(answer: bytes) -> int:
            listening = held.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer_one() -> None:
                with contextlib.suppress(OSError), listening.accept()[0] as connection:
                    connection.sendall(answer)
                    connection.recv(64)
                    connection.recv(64)  # until the other side has gone

            answering = threading.Thread(target=answer_one)
            answering.start()
            held.callback(answering.join)
            return int(listening.getsockname()[1])

        yield start


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_no_address_is_this_machine_alone() -> None:
    assert find_head(None) is None


def test_a_head_answers(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    port = serve(SETTINGS_FRAME)
    head = find_head(f"127.0.0.1:{port}")
    assert head is not None
    assert (head.host, head.port, head.given) == ("127.0.0.1", port, f"--address 127.0.0.1:{port}")
    port = serve(SETTINGS_FRAME)
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    for given in (None, "auto"):
        found = find_head(given)
        assert found is not None
        assert found.port == port
        port = serve(SETTINGS_FRAME)
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    socket.create_connection(("127.0.0.1", port)).close()


def test_auto_is_the_cluster_that_this_machine_was_made_a_node_of(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(SETTINGS_FRAME)
    monkeypatch.setattr(utils, "read_ray_address", lambda: f"127.0.0.1:{port}")
    head = find_head("auto")
    assert head is not None
    assert head.port == port
    monkeypatch.setattr(utils, "read_ray_address", lambda: None)
    with pytest.raises(UserError, match=r"--address auto: no cluster has been started on this machine"):
        find_head("auto")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ray://head:10001", r"--address ray://head:10001: .*use `tuner submit --cluster`"),
        ("head", r"--address head: must be HOST:PORT"),
        ("head:", r"--address head:: must be HOST:PORT"),
        ("http://head:8265/", r"must be HOST:PORT"),
        ("no-such-host.invalid:6379", r"no Ray cluster answers at no-such-host.invalid:6379"),
    ],
)
def test_what_is_no_address_of_a_head_is_refused(given: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        find_head(given)
    assert len(caught.value.mistakes) == 1


def test_nothing_listens_there() -> None:
    port = free_port()
    with pytest.raises(UserError, match=rf"no Ray cluster answers at 127.0.0.1:{port} \(Connection refused\)"):
        find_head(f"127.0.0.1:{port}")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220"])
def test_something_else_listens_there(answer: bytes, serve: Serve) -> None:
    with pytest.raises(UserError, match="no head of a Ray cluster"):
        find_head(f"127.0.0.1:{serve(answer)}")


def test_what_listens_says_nothing(serve: Serve) -> None:
    with pytest.raises(UserError, match="timed out"):
        find_head(f"127.0.0.1:{serve(b'')}")


def test_the_variable_is_named_where_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    with pytest.raises(UserError, match=r"^RAY_ADDRESS=127.0.0.1:\d+: no Ray cluster answers"):
        find_head(None)
