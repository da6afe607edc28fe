"""Why the process of a trial is gone, whether that says anything of the trial, and how often it may happen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ray.exceptions import ActorUnavailableError, NodeDiedError, RayActorError, RayTaskError

DEATHS = 3
"""of a trial's own process in a row, without a new epoch in between, before the trial is lost"""


@dataclass(frozen=True)
class Loss:
    """That a process is gone, as Ray tells of it."""

    reason: str
    own: bool
    """whether the trial itself may have ended it, by a crash or by too much memory; else its machine is gone"""


def loss_of(error: Exception | None) -> Loss:
    """What Ray's error says about a process.

    A process that dies on a node that lives is told as that within a second, by its node. One of which nobody tells has
    lost its node, too: Ray takes 7 s and more to call a node dead. Workers go with the node of the process that owns
    them, which is the search's own.
    """
    told = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    text = " ".join(told)
    if isinstance(error, RayActorError) and error.preempted:
        return Loss("its node was preempted", own=False)
    if isinstance(error, ActorUnavailableError):
        return Loss("its node does not answer any more", own=False)
    if isinstance(error, NodeDiedError) or "node has died" in text or "owner has died" in text:
        return Loss("its node died", own=False)
    if told and "creation task" in told[0]:
        return Loss(f"the worker process could not start: {told[-1]}", own=True)
    if isinstance(error, RayTaskError):
        return Loss(f"the worker failed: {told[-1]}", own=True)
    if "OUT_OF_MEMORY" in text or "running low on memory" in text:
        return Loss("the worker process was killed, since its node had run out of memory", own=True)
    return Loss("the worker process died", own=True)


class OwnDeaths:
    """How often in a row each trial's process has died by itself; a new epoch ends the row."""

    def __init__(self) -> None:
        self._deaths: Counter[str] = Counter()
        self._epochs: dict[str, float] = {}
        """trial -> its last one that was new"""

    def reported(self, trial: str, epoch: float) -> None:
        """Take in an epoch of a trial; one that a new process repeats is no progress."""
        if epoch > self._epochs.get(trial, 0.0):
            self._epochs[trial] = epoch
            del self._deaths[trial]

    def died(self, trial: str) -> bool:
        """Take in a death; True: there have been too many in a row."""
        self._deaths[trial] += 1
        return self._deaths[trial] >= DEATHS
