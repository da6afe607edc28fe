"""What a search does when its Ray is gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

import pytest

from tuner.interruption import Interruption
from tuner.ray_backend import vigil
from tuner.ray_backend.vigil import SILENT_SECONDS, Answer, require_listening, watch


class Search:
    """Asked for by a watch; ends in order when it is told to, unless it hangs."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.interrupted = Interruption()
        self.done = threading.Event()
        self.given_up: list[str] = []
        self.seconds = 0.0
        self._hangs = hangs

    def watched(self, answers: Iterable[Answer], seconds_each: float = 2.0) -> Search:
        told = iter(answers)

        def ask() -> Answer:
            self.seconds += seconds_each
            answer = next(told, "over")
            if answer == "over" or (answer is False and not self._hangs):
                self.done.set()
            return True if answer == "over" else answer  # type: ignore[return-value]

        watch(ask, self.interrupted, self.given_up.append, self.done, lambda: self.seconds)
        return self


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vigil, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(vigil, "LEAVE_SECONDS", 0.0)


def test_a_search_whose_ray_lives_is_left_alone() -> None:
    search = Search().watched([True, None, True, True])
    assert not search.interrupted.is_set()
    assert search.given_up == []


def test_a_search_whose_node_is_gone_ends_in_order() -> None:
    search = Search().watched([True, False])
    assert search.interrupted.failed
    assert search.interrupted.reason == "Ray's node process (raylet) on this machine is gone"
    assert search.given_up == []


def test_one_that_does_not_end_is_ended() -> None:
    search = Search(hangs=True).watched([True, False])
    assert search.given_up == ["Ray's node process (raylet) on this machine is gone"]


def test_a_control_process_may_be_silent_for_a_while_only() -> None:
    silent = int(SILENT_SECONDS / 2)
    short = Search().watched([True, *[None] * (silent - 1), True, *[None] * (silent - 1)])
    assert short.given_up == []
    gone = Search().watched([True, *[None] * (silent + 1)])
    assert gone.given_up == ["Ray's control process (GCS) does not answer any more"]
    assert not gone.interrupted.is_set()


def test_a_control_process_that_will_not_come_back_is_not_waited_for() -> None:
    search = Search()

    def ask() -> Answer:
        raise ConnectionRefusedError("nobody listens")

    watch(ask, search.interrupted, search.given_up.append, search.done)
    assert search.given_up == ["Ray's control process (GCS) on this machine is gone"]


def test_only_on_loopback_is_a_silent_one_known_to_be_gone() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        require_listening(address)
    with pytest.raises(ConnectionRefusedError):
        require_listening(address)
    require_listening("192.0.2.1:6379")
