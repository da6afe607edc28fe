"""A search on several Ray nodes, one of which dies and one of which joins, in namespaces of its own."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from apart import run_apart
from several_nodes import KILLED_AFTER, NAME, TRIALS
from small_searches import tiny_space, write_labels_csv, write_space

from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.store import Store

pytestmark = pytest.mark.real

EPOCHS, GRACE_EPOCHS = 12, 4
PLUGIN = '''
import time
from typing import Literal

import torch

from trainable.plugins import register_loss
from trainable.strict import Strict


class Counted(Strict):
    """Slow, and writes a byte for every step of training."""

    kind: Literal["counted"]

    def build(self, task, positives, images, device):
        def loss(logits, targets):
            time.sleep(0.4)
            with open({steps!r}, "ab") as file:
                file.write(b".")
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)

        return loss


register_loss(Counted)
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the search has run."""
    place = tmp_path_factory.mktemp("nodes")
    write_labels_csv(place / "data")
    (place / "plugin.py").write_text(PLUGIN.format(steps=str(place / "steps")))
    fixed = {**tiny_space()["fixed"], "epochs": EPOCHS, "batch_size": 64, "loss.kind": "counted"}
    scheduler = {"kind": "asha", "grace_epochs": GRACE_EPOCHS, "reduction_factor": 3}
    write_space(place / "space.yaml", tiny_space(fixed=fixed, scheduler=scheduler))
    run_apart(Path(__file__).with_name("several_nodes.py"), place)
    return place


@pytest.fixture
def seen(place: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((place / "seen.json").read_text())
    return told


@pytest.fixture
def store(place: Path) -> Store:
    return Store(place / "results" / NAME)


@pytest.fixture
def record(store: Store) -> SearchRecord:
    return replay(store.events())


def test_the_search_comes_to_its_end(seen: dict[str, Any], record: SearchRecord) -> None:
    assert seen["code"] == 0, seen["err"]
    assert record.status == "complete"
    assert len(record.trials) == TRIALS
    assert {trial.status for trial in record.trials} <= {"complete", "pruned"}
    assert record.trials[0].status == "complete"


def test_the_trial_of_the_dead_node_goes_on_where_it_was(place: Path, seen: dict[str, Any], store: Store) -> None:
    events = list(store.events())
    resumed = next(place for place, event in enumerate(events) if event["kind"] == "trial_resumed")
    assert events[resumed]["trial"] == "t0001"
    told = max(event["epoch"] for event in events[:resumed] if event["kind"] == "epoch")
    assert told >= KILLED_AFTER > seen["saved"] >= GRACE_EPOCHS
    epochs = sum(event["kind"] == "epoch" for event in events)
    repeated = (place / "steps").stat().st_size - epochs
    assert repeated <= told - seen["saved"] + 1  # one that was not told any more


def test_nothing_is_told_twice(store: Store) -> None:
    kinds = ("trial_started", "epoch", "trial_ended")
    told = Counter(
        (event["kind"], event["trial"], event.get("epoch")) for event in store.events() if event["kind"] in kinds
    )
    assert set(told.values()) == {1}


def test_trials_are_on_nodes_with_gpus_only_also_on_the_new_one(seen: dict[str, Any]) -> None:
    left = {"first", "second", "third"} - {seen["killed"]}
    assert set(seen["workers"]) <= {seen["killed"], *left}
    assert left <= set(seen["workers"])
