"""How many trials run at once, and what each of them takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from trainable.data.cache import cache_folder
from tuner.cluster.nodes import Cluster
from tuner.config import Resources
from tuner.ray_backend.capacity import Capacity, Node, capacity
from tuner.ray_backend.proposals import Proposal
from tuner.ray_backend.resources import SMALLEST_SHARE, GpuShares, MemoryKey, Peaks, fit, has_peaked, memory_key
from tuner.ray_backend.staffing import Staffing


class Slots:
    """How many trials may run at once, and what each takes: of GPUs what was asked for, or what it is known to need.

    Args:
        cluster: what the one that was joined may grow to

    Raises:
        UserError: more is asked for one trial than any node has.
    """

    def __init__(self, resources: Resources, cluster: Cluster | None = None) -> None:
        self._cluster = cluster
        there, wanted = self.capacity, resources.gpus_per_trial
        self.gpus = (1.0 if there.has_gpus else 0.0) if wanted is None else wanted
        self.cpus = resources.cpus_per_trial
        self._limit = resources.workers
        shared = there.has_gpus and wanted is None
        self._shares = GpuShares(Peaks(cache_folder() / "peaks.json")) if shared else None
        self._staffing = Staffing()
        self._taken: dict[str, float] = {}
        """trial -> share of a GPU"""
        there.require(self.cpus, self.gpus)

    @property
    def capacity(self) -> Capacity:
        """What there is now."""
        return capacity(self._cluster)

    @property
    def holding(self) -> list[Node]:
        """The nodes that can run a trial now."""
        return self.capacity.holding(self.cpus, self.gpus)

    @property
    def may_grow(self) -> bool:
        """Whether the cluster starts nodes when they are asked for."""
        return self._cluster is not None and self._cluster.provider != "local"

    @property
    def workers(self) -> int:
        """Trials at once, where each takes the GPUs that it may at most."""
        fits = self.capacity.trials(self.cpus, self.gpus)
        return max(1, min(fits, self._limit or fits))

    def room(self, running: Collection[str]) -> bool:
        """Whether one more trial may be asked for beside these. Nodes may come and go, and come when they are asked."""
        if not self._staffing.more_than(len(running)):
            return False
        there = self.capacity
        fits = there.trials(self.cpus, SMALLEST_SHARE if self._shares else self.gpus)
        if self._shares and running:
            shares = [*(self._taken[trial] for trial in running), SMALLEST_SHARE]
            if not fit(shares, there.gpus(self.cpus)):
                return False
        return len(running) < max(1, min(fits, self._limit or fits))

    def take(self, proposal: Proposal) -> dict[str, float]:
        """What a trial asks Ray for."""
        share = self._shares.of(proposal.trial, _key(proposal)) if self._shares else self.gpus
        self._taken[proposal.trial] = share
        return {"cpu": self.cpus, "gpu": share}

    def has_more_for(self, trial: str) -> bool:
        """Whether a trial that runs out of memory on what it was given can have more of a GPU."""
        return self._shares is not None and self._taken[trial] < 1

    def gpus_of(self, trial: str) -> float:
        """What a trial was given last."""
        return self._taken[trial]

    def learn(self, proposal: Proposal, report: Mapping[str, Any]) -> None:
        """Take in that a worker has told something, of a trial that trains its memory."""
        self._staffing.reported()
        if self._shares and proposal.work == "train" and has_peaked(proposal.config, report["epoch"]):
            self._shares.learn(_key(proposal), report["peak_memory_gib"], report["gpu_memory_gib"])

    def leave_alone(self, trial: str) -> None:
        """Take in that a trial ran out of memory on its share of a GPU."""
        if self._shares:
            self._shares.leave_alone(trial)


def _key(proposal: Proposal) -> MemoryKey:
    return memory_key(proposal.config, proposal.assignment.precision)
