"""Processes that die, whole searches with Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_searches import start_search, tiny_space, write_labels_csv, write_space

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


def test_a_trial_that_ends_its_process_again_and_again_is_lost_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_CACHE", str(tmp_path / "cache"))
    mark, plugin = tmp_path / "mark", tmp_path / "deadly.py"
    plugin.write_text(DEADLY.format(mark=str(mark)))
    space = tiny_space(sampler="grid", baseline={}, axes={"loss.kind": {"choice": ["cross_entropy", "deadly"]}})
    search = start_search(
        write_space(tmp_path / "space.yaml", space),
        write_labels_csv(tmp_path / "data"),
        tmp_path,
        "deadly",
        *("--plugin", plugin, "--split", "75/25"),
    )
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
