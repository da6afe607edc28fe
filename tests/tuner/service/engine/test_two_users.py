"""A real server with two users' searches: the first gives the second a CPU as it comes, and both end as if alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from small_servers import SmallServer, small_server

pytestmark = pytest.mark.long

EPOCHS = 150
"""seconds of training: a search that has begun takes some to train"""
TRIALS = {"hers": 6, "theirs": 3}
BEGINNINGS = ("trial_started", "trial_resumed")


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with small_server() as made:
        yield made


def running(server: SmallServer, name: str) -> set[str]:
    """The trials that run, as the log tells it."""
    found: set[str] = set()
    for event in server.events(name):
        if event["kind"] in BEGINNINGS:
            found.add(event["trial"])
        if event["kind"] == "trial_ended":
            found.discard(event["trial"])
    return found


def test_a_second_users_search_gets_its_share_at_once(server: SmallServer) -> None:
    ada, ben = server.user("ada"), server.user("ben")
    server.submit("hers", TRIALS["hers"], EPOCHS, headers=ada)
    server.wait(lambda: len(running(server, "hers")) == 2, "hers has both CPUs")
    server.wait_for("hers", 6, "epoch")

    server.submit("theirs", TRIALS["theirs"], EPOCHS, headers=ben)
    server.wait_for("theirs", 1, "epoch")
    assert len(running(server, "hers")) <= 1, "a worker of theirs has the other CPU"

    assert [server.wait_until_done(name) for name in TRIALS] == ["complete", "complete"]
    for name, trials in TRIALS.items():
        epochs = Counter((event["trial"], event["epoch"]) for event in server.events(name) if event["kind"] == "epoch")
        assert set(epochs.values()) == {1}
        assert len(epochs) == trials * EPOCHS
        assert server.count(name, "trial_ended") == trials
    assert server.stop() == 0
    assert server.left_over() == []
