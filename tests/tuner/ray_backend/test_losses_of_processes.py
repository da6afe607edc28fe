"""What Ray's errors say of a process that is gone, and when a trial has died too often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.exceptions import ActorDiedError, ActorUnavailableError, NodeDiedError, RayActorError

from tuner.ray_backend.losses import DEATHS, OwnDeaths, loss_of

NODE_DIED = """The actor died unexpectedly before finishing this task.
\tclass_name: TrialActor
\tactor_id: 0a1b
The actor died because its node has died. Node Id: 12ab
\tthe actor's node was terminated unexpectedly: health check failed due to missing too many heartbeats"""
KILLED = """The actor died unexpectedly before finishing this task.
The actor is dead because its worker process has died.
Worker exit type: SYSTEM_ERROR Worker exit detail: End of file."""
OWNER_DIED = """The actor died unexpectedly before finishing this task.
The actor is dead because its owner has died. Owner Id: 01 Owner Ip address: 10.0.0.1 Owner worker exit type:
SYSTEM_ERROR Worker exit detail: Owner's node has crashed."""
MEMORY = "Task was killed due to the node running low on memory.\nMemory on the node was 23.1GB / 24GB"
NOT_STARTED = "The actor died because of an error raised in its creation task, x\nNo module named 'tuner'"


@pytest.mark.parametrize(
    ("error", "reason", "own"),
    [
        (None, "the worker process died", True),
        (ActorDiedError(), "the worker process died", True),
        (RayActorError(error_msg=KILLED), "the worker process died", True),
        (RayActorError(error_msg=MEMORY), "the worker process was killed, since its node had run out of memory", True),
        (RayActorError(error_msg=NOT_STARTED), "the worker process could not start: No module named 'tuner'", True),
        (RayActorError(error_msg=NODE_DIED), "its node died", False),
        (RayActorError(error_msg=OWNER_DIED), "its node died", False),
        (RayActorError(error_msg=NODE_DIED, preempted=True), "its node was preempted", False),
        (NodeDiedError("gone"), "its node died", False),
        (ActorUnavailableError("Socket closed rpc_code: 14", None), "its node does not answer any more", False),
    ],
)
def test_whether_a_trial_may_be_to_blame_is_read_from_ray_s_error(
    error: Exception | None, reason: str, own: bool
) -> None:
    loss = loss_of(error)
    assert (loss.reason, loss.own) == (reason, own)


@given(st.lists(st.sampled_from(["death", "epoch", "repeated epoch"])))
def test_deaths_add_up_only_while_nothing_new_comes(happens: list[str]) -> None:
    deaths, epoch, in_a_row = OwnDeaths(), 0, 0
    for what in happens:
        if what == "death":
            in_a_row += 1
            assert deaths.died("t0001") == (in_a_row >= DEATHS)
        elif what == "epoch":
            epoch, in_a_row = epoch + 1, 0
            deaths.reported("t0001", epoch)
        else:
            deaths.reported("t0001", epoch)


def test_trials_die_apart() -> None:
    deaths = OwnDeaths()
    assert not any(deaths.died(f"t{number:04}") for number in range(10))
