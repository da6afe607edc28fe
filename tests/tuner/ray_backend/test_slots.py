"""How many trials at once, and what each takes, without a Ray that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import ray

from trainable.config import parse_config
from trainable.errors import UserError
from tuner.config import Resources
from tuner.ray_backend import staffing
from tuner.ray_backend.proposals import Proposal
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.worker import Assignment

ASSIGNMENT = Assignment("/search", "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)
SetCluster = Callable[..., None]


@pytest.fixture(autouse=True)
def _workers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there is enough to do for them is not the question here."""
    monkeypatch.setattr(staffing, "LONGEST_WAIT_SECONDS", 0.0)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SetCluster:
    """cluster({"CPU": 4, "GPU": 1}, ...): the nodes that Ray says are there."""

    def say(*nodes: Mapping[str, float]) -> None:
        told = [
            {"Alive": True, "NodeID": str(number), "NodeManagerAddress": f"10.0.0.{number}", "Resources": resources}
            for number, resources in enumerate(nodes)
        ]
        monkeypatch.setattr(ray, "nodes", lambda: [*told, {"Alive": False, "Resources": {}}])

    return say


@pytest.mark.parametrize(
    ("resources", "there", "count"),
    [
        ({}, {"CPU": 4.0}, 4),
        ({"workers": 2}, {"CPU": 4.0}, 2),
        ({"workers": 9}, {"CPU": 4.0}, 4),
        ({"cpus_per_trial": 3.0}, {"CPU": 4.0}, 1),
        ({"cpus_per_trial": 0.1}, {"CPU": 0.3}, 3),
        ({}, {"CPU": 8.0, "GPU": 2.0}, 2),
        ({"gpus_per_trial": 0.0}, {"CPU": 8.0, "GPU": 2.0}, 8),
        ({"gpus_per_trial": 0.5}, {"CPU": 8.0, "GPU": 1.0}, 2),
        ({"gpus_per_trial": 0.4}, {"CPU": 8.0, "GPU": 2.0}, 4),
        ({"gpus_per_trial": 0.1}, {"CPU": 64.0, "GPU": 1.0}, 10),
        ({"gpus_per_trial": 2.0}, {"CPU": 64.0, "GPU": 5.0}, 2),
        ({"gpus_per_trial": 0.5, "cpus_per_trial": 4.0}, {"CPU": 6.0, "GPU": 1.0}, 1),
    ],
)
def test_as_many_trials_as_fit(
    resources: dict[str, Any], there: dict[str, float], count: int, cluster: SetCluster
) -> None:
    cluster(there)
    assert at_once(Slots(Resources(**resources))) == count


def at_once(slots: Slots, **fields: Any) -> int:
    """How many trials of a config are handed out while none ends."""
    running: list[str] = []
    while slots.room(running):
        running.append(f"t{len(running) + 1:04}")
        slots.take(proposal(running[-1], **fields))
    return len(running)


def proposal(trial: str, **fields: Any) -> Proposal:
    return Proposal(trial, parse_config({"backbone": "resnet18", **fields}), ASSIGNMENT)


def test_a_gpu_is_taken_where_there_is_one(cluster: SetCluster) -> None:
    cluster({"CPU": 4.0})
    assert Slots(Resources()).gpus == 0
    cluster({"CPU": 4.0, "GPU": 1.0})
    assert Slots(Resources()).gpus == 1


def test_slots_follow_the_cluster(cluster: SetCluster) -> None:
    cluster({"CPU": 4.0})
    slots = Slots(Resources())
    cluster({"CPU": 8.0})
    assert at_once(slots) == 8
    cluster()
    assert at_once(slots) == 1


def test_trials_share_gpus_by_what_they_were_seen_to_need(cluster: SetCluster) -> None:
    cluster({"CPU": 64.0, "GPU": 2.0})
    slots = Slots(Resources())
    assert at_once(slots) == 2
    small, large = proposal("t0001", freeze="all"), proposal("t0002", freeze=0)
    slots.learn(small, {"epoch": 1, "peak_memory_gib": 2.0, "gpu_memory_gib": 24.0}, "0")
    slots.learn(large, {"epoch": 1, "peak_memory_gib": 15.0, "gpu_memory_gib": 24.0}, "0")
    assert (slots.take(small)["gpu"], slots.take(large)["gpu"]) == (0.125, 0.875)
    assert at_once(slots, freeze="all") == 16
    assert at_once(slots, freeze=0) == 3  # the third waits, and with it whoever comes after
    assert slots.more_gpu_gib("t0001") > 24
    assert slots.did_not_fit("t0001", "0", 24.0) == "a share of a GPU"
    assert slots.take(small)["gpu"] == 1
    assert slots.more_gpu_gib("t0001") == 0


def test_shares_that_are_given_stay_as_they_are(cluster: SetCluster) -> None:
    cluster({"CPU": 64.0, "GPU": 2.0})
    slots = Slots(Resources(gpus_per_trial=0.5))
    slots.learn(proposal("t0001"), {"epoch": 1, "peak_memory_gib": 2.0, "gpu_memory_gib": 24.0}, "0")
    assert slots.take(proposal("t0001")) == {"cpu": 1, "gpu": 0.5, "avoid": []}
    assert slots.more_gpu_gib("t0001") == 0
    assert at_once(slots) == 4


def test_a_trial_avoids_gpus_that_do_not_hold_it_and_nodes_that_are_set_aside(cluster: SetCluster) -> None:
    small = {"CPU": 8.0, "GPU": 1.0, "accelerator_type:T4": 1.0}
    cluster({"CPU": 4.0}, small, small, {"CPU": 8.0, "GPU": 1.0, "accelerator_type:A100": 1.0})
    slots, found = Slots(Resources()), proposal("t0002", freeze=0)
    assert slots.take(found) == {"cpu": 1, "gpu": 1, "avoid": []}
    assert slots.did_not_fit("t0002", "1", 16.0) == "a GPU of 16 GiB"
    assert slots.take(found)["avoid"] == ["1", "2"]
    slots.learn(found, {"epoch": 1, "peak_memory_gib": 30.0, "gpu_memory_gib": 80.0}, "3")
    again = proposal("t0003", freeze=0)
    assert slots.take(again) == {"cpu": 1, "gpu": 0.5, "avoid": ["1", "2"]}
    assert slots.take(again, {"3"}) == {"cpu": 1, "gpu": 1, "avoid": ["3"]}


def test_nodes_without_what_a_trial_takes_hold_none(cluster: SetCluster) -> None:
    cluster({"CPU": 64.0}, {"CPU": 1.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 1.0})
    assert [node.id for node in Slots(Resources(cpus_per_trial=2.0)).holding] == ["2"]
    assert [node.id for node in Slots(Resources(gpus_per_trial=0.0)).holding] == ["0", "1", "2"]


def test_nodes_that_are_set_aside_make_no_room(cluster: SetCluster) -> None:
    cluster({"CPU": 1.0}, {"CPU": 2.0})
    slots = Slots(Resources())
    assert slots.room(["t0001", "t0002"])
    assert not slots.room(["t0001", "t0002"], {"0"})


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"cpus_per_trial": 8.0}, "--cpus-per-trial 8: no node has more than 4 CPUs; give at most 4"),
        ({"gpus_per_trial": 1.0}, "--gpus-per-trial 1: no node has more than 0 GPUs; give at most 0"),
    ],
)
def test_more_than_there_is_is_refused(resources: dict[str, float], told: str, cluster: SetCluster) -> None:
    cluster({"CPU": 4.0})
    with pytest.raises(UserError, match=told):
        Slots(Resources(**resources))


def test_a_limit_that_changes_holds_from_then_on(cluster: SetCluster) -> None:
    cluster({"CPU": 4.0})
    slots, most = Slots(Resources()), [3]
    slots.keep_to(lambda: most[0])
    assert [slots.room([f"t{number}" for number in range(running)]) for running in (0, 2, 3)] == [True, True, False]
    assert [slots.too_many(running) for running in (3, 4)] == [False, True]
    most[0] = 0
    assert slots.room([]), "one trial goes on in any case"
    assert not slots.too_many(1)
