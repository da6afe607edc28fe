"""A real server with a real small search: whatever is killed, it goes on, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from small_servers import SmallServer, small_server

TRIALS, EPOCHS = 3, 40


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with small_server(cpus=1) as made:
        yield made


@pytest.mark.real
def test_the_server_and_ray_are_killed_and_the_search_goes_on_once(server: SmallServer) -> None:
    server.submit("mine", TRIALS, EPOCHS)
    server.wait_for("mine", 1, "epoch")

    assert server.process is not None
    driver, ray = server.driver("mine"), server.ray()
    with server.held_up(driver):  # else all might be trained before the next server is there
        server.kill(server.process.pid)
        server.start()
        assert (server.driver("mine"), server.ray()) == (driver, ray), "both are found again"
        server.wait(lambda: server.search("mine")["state"] == "running", "the next server knows")

    trained = server.count("mine", "epoch")
    server.wait_for("mine", trained + 1, "epoch")
    server.kill(ray)
    server.wait_for("mine", 1, "search_resumed")
    _goes_on_once(server)


@pytest.mark.long
def test_a_driver_is_killed_and_the_search_goes_on_once(server: SmallServer) -> None:
    server.submit("mine", TRIALS, EPOCHS)
    server.wait_for("mine", 1, "epoch")
    server.kill(server.driver("mine"))
    server.wait_for("mine", 1, "search_resumed")
    _goes_on_once(server)


def _goes_on_once(server: SmallServer) -> None:
    """To its end, with nothing done twice and nothing left."""
    assert server.wait_until_done("mine") == "complete"
    ended = Counter(event["trial"] for event in server.events("mine") if event["kind"] == "trial_ended")
    assert set(ended) == {f"t{number:04}" for number in range(1, TRIALS + 1)}
    finished = [
        event["trial"] for event in server.events("mine") if event.get("status") == "complete" and "trial" in event
    ]
    assert sorted(finished) == sorted(set(finished)), "nothing is done twice"
    epochs = Counter((event["trial"], event["epoch"]) for event in server.events("mine") if event["kind"] == "epoch")
    assert set(epochs.values()) == {1}
    assert len(epochs) == TRIALS * EPOCHS
    assert server.stop() == 0
    assert server.left_over() == []
