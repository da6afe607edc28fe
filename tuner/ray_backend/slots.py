"""How many trials run at once, and what each of them takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
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
        self._most_now: Callable[[], int | None] = lambda: None
        shared = there.has_gpus and wanted is None
        self._shares = GpuShares(Peaks(cache_folder() / "peaks.json")) if shared else None
        self._staffing = Staffing()
        self._taken: dict[str, float] = {}
        """trial -> share of a GPU"""
        self._most_gib: dict[str, float] = {}
        """trial -> as GpuNeed has it"""
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

    def keep_to(self, most_now: Callable[[], int | None]) -> None:
        """Also run no more trials at once than this tells; None: there is no such limit now."""
        self._most_now = most_now

    def too_many(self, running: int) -> bool:
        """Whether one of so many trials is to make room for what others run."""
        most = self._most_now()
        return most is not None and running > max(1, most)

    def room(self, running: Collection[str], aside: Collection[str] = ()) -> bool:
        """Whether one more trial may be asked for beside these.

        Nodes may come and go, come when they are asked, or be set aside.
        """
        if not self._staffing.more_than(len(running)) or self.too_many(len(running) + 1):
            return False
        there = self.capacity.without(aside)
        fits = there.trials(self.cpus, SMALLEST_SHARE if self._shares else self.gpus)
        if self._shares and running:
            shares = [*(self._taken[trial] for trial in running), SMALLEST_SHARE]
            if not fit(shares, there.gpus(self.cpus)):
                return False
        return len(running) < max(1, min(fits, self._limit or fits))

    def describe(self) -> str:
        """What there is for trials, in words."""
        each = f"{self.cpus:g} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")
        return f"of {len(self.capacity.nodes)} live nodes {len(self.holding)} have the {each} of a trial"

    def take(self, proposal: Proposal, aside: Collection[str] = ()) -> dict[str, Any]:
        """What a trial asks Ray for: anything but the nodes that are set aside, and GPUs that do not hold it."""
        share, avoid = self.gpus, set(aside)
        if self._shares:
            kinds = {node.id: node.gpu_kind for node in self.capacity.without(avoid).nodes if node.gpus}
            need = self._shares.of(proposal.trial, _key(proposal), set(kinds.values()))
            share, self._most_gib[proposal.trial] = need.share, need.most_gib
            avoid |= {node for node, kind in kinds.items() if kind in need.too_small}
        self._taken[proposal.trial] = share
        return {"cpu": self.cpus, "gpu": share, "avoid": sorted(avoid)}

    def more_gpu_gib(self, trial: str) -> float:
        """A trial that runs out of memory on a GPU with less than that can have more, if only all of that GPU."""
        if self._shares is None:
            return 0.0
        return math.inf if self._taken[trial] < 1 else self._most_gib[trial]

    def gpus_of(self, trial: str) -> float:
        """What a trial was given last."""
        return self._taken[trial]

    def learn(self, proposal: Proposal, report: Mapping[str, Any], node: str | None) -> None:
        """Take in that a worker has told something, of a trial that trains its memory."""
        self._staffing.reported()
        if self._shares and proposal.work == "train" and has_peaked(proposal.config, report["epoch"]):
            kind = _gpu_kind(self.capacity.nodes, node)
            self._shares.learn(_key(proposal), report["peak_memory_gib"], kind, report["gpu_memory_gib"])

    def did_not_fit(self, trial: str, node: str | None, gpu_gib: float) -> str:
        """Take in that a trial ran out of memory where it can have more; returns what it had."""
        share = self._taken[trial]
        if self._shares:
            self._shares.did_not_fit(trial, share, _gpu_kind(self.capacity.nodes, node), gpu_gib)
        return "a share of a GPU" if share < 1 else f"a GPU of {gpu_gib:.3g} GiB"


def _key(proposal: Proposal) -> MemoryKey:
    return memory_key(proposal.config, proposal.assignment.precision)


def _gpu_kind(nodes: Sequence[Node], id: str | None) -> str:
    """Of a node; empty for one that is gone."""
    return next((node.gpu_kind for node in nodes if node.id == id), "")
