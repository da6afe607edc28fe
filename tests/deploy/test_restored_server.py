"""A real server is copied while it searches; from the copy another one goes on: `pytest -m long tests/deploy`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_clusters import ROOT
from small_searches import write_class_folders
from small_servers import SmallServer

from tuner.client import Client

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed"),
]
TRIALS, EPOCHS = 3, 12


@pytest.fixture
def servers() -> Iterator[tuple[SmallServer, SmallServer]]:
    """The one that is copied, and the one that the copy is for."""
    with tempfile.TemporaryDirectory(prefix="bk", dir="/tmp", ignore_cleanup_errors=True) as folder:
        both = SmallServer(Path(folder) / "one"), SmallServer(Path(folder) / "two")
        for server in both:
            server.folder.mkdir()
        try:
            yield both
        finally:
            for server in both:
                if server.process is not None:
                    server.end()


def back_up(server: SmallServer, copy: Path) -> None:
    script = ROOT / "deploy" / "service" / "backup.sh"
    subprocess.run(["sh", script, server.state, server.results, copy], check=True, timeout=120)


def test_a_copy_goes_on_elsewhere(servers: tuple[SmallServer, SmallServer], tmp_path: Path) -> None:
    one, two = servers
    one.start()
    one.register_data()
    with Client(one.url) as client:
        client.upload("uploaded", write_class_folders(tmp_path / "pictures"))
    one.submit("done", trials=1)
    one.wait_until_done("done")
    one.submit("going", trials=TRIALS, epochs=EPOCHS)
    one.wait_for("going", 1, "trial_ended")
    one.wait_for("going", one.count("going", "epoch") + 1, "epoch")
    copy = tmp_path / "copy"
    back_up(one, copy)  # while it trains
    told = one.count("going", "epoch")
    assert one.search("going")["state"] == "running"
    one.end()

    shutil.copytree(copy / "results", two.results)
    shutil.copytree(copy / "state", two.state)
    ended = {event["trial"]: event for event in two.events("going") if event["kind"] == "trial_ended"}
    assert ended
    assert 0 < two.count("going", "epoch") <= told
    two.start()
    assert {found["name"] for found in two.ask("GET", "/v1/searches")["items"]} == {"done", "going"}
    assert two.search("done")["state"] == "complete"
    assert two.ask("GET", "/v1/data/uploaded")["state"] == "ready"
    assert two.wait_until_done("going") == "complete"
    epochs = Counter((event["trial"], event["epoch"]) for event in two.events("going") if event["kind"] == "epoch")
    assert set(epochs.values()) == {1}
    assert len({event["trial"] for event in two.events("going") if event["kind"] == "trial_ended"}) == TRIALS
    for trial, event in ended.items():  # what had ended was not trained again
        later = [found for found in two.events("going") if found.get("trial") == trial]
        assert [found for found in later if found["kind"] == "trial_ended"] == [event]
    two.submit("after", trials=1)
    assert two.wait_until_done("after") == "complete"
    assert two.stop() == 0
