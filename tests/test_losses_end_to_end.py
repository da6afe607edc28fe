"""Processes that die, whole searches with Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_searches import RunningSearch, start_search, tiny_space, write_labels_csv, write_space

from tuner.store import Store

pytestmark = pytest.mark.real

DEADLY = """
import os
from pathlib import Path
from typing import Literal

from trainable.losses import CrossEntropyLoss
from trainable.plugins import register_loss


class Deadly(CrossEntropyLoss):
    kind: Literal["deadly"]

    def build(self, *given):
        if Path({mark!r}).exists():
            os._exit(1)
        return super().build(*given)


register_loss(Deadly)
"""
"""takes the process with it, once the search runs"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_CACHE", str(tmp_path / "cache"))


def started(tmp_path: Path, space: dict[str, Any], *options: object) -> RunningSearch:
    table = write_labels_csv(tmp_path / "data")
    return start_search(write_space(tmp_path / "space.yaml", space), table, tmp_path, "new", *options)


def test_a_trial_that_ends_its_process_again_and_again_is_lost_and_the_search_goes_on(
    tmp_path: Path,
) -> None:
    mark, plugin = tmp_path / "mark", tmp_path / "deadly.py"
    plugin.write_text(DEADLY.format(mark=str(mark)))
    space = tiny_space(sampler="grid", baseline={}, axes={"loss.kind": {"choice": ["cross_entropy", "deadly"]}})
    search = started(tmp_path, space, "--plugin", plugin, "--split", "75/25")
    search.wait_for(lambda event: event["kind"] == "search_started")
    mark.touch()
    ran = search.finish()
    assert ran.code == 0, ran.err
    record = Store(search.folder).record()
    assert [(trial.status, trial.error) for trial in record.trials] == [
        ("complete", None),
        ("lost", "the worker process died, 3 times in a row without an epoch in between"),
    ]
    reasons = [event["reason"] for event in search.events() if event["kind"] == "trial_resumed"]
    assert reasons == ["the worker process died"] * 2
    assert search.left_over() == []


def test_a_search_whose_node_of_ray_is_gone_ends_in_order(tmp_path: Path) -> None:
    fixed = {**tiny_space()["fixed"], "epochs": 2000}
    search = started(tmp_path, tiny_space(fixed=fixed), "--trials", 4, "--workers", 1)
    search.wait_for(lambda event: event["kind"] == "epoch")
    search.raylet().kill()
    ran = search.finish()
    reason = "Ray's node process (raylet) on this machine is gone"
    assert ran.code == 1
    assert ran.err == f"error: {reason}; once that is repaired, `tuner resume new` goes on\n"
    record = Store(search.folder).record()
    assert (record.status, record.reason) == ("failed", reason)
    assert [trial.status for trial in record.trials] == ["paused"]
    assert search.left_over() == []
