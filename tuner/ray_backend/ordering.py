"""Cheap trials first, among those whose choice depends on no result; features that a machine has cost nothing there."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from trainable.config import TrialConfig
from trainable.flops import Prefix, TrialFlops
from tuner.ray_backend.proposals import DrawnTrials, PastProposal, Proposal

LOOK_AHEAD = 64
"""trials that are put in order together: an expensive one waits for so many at most"""

CountFlops = Callable[[TrialConfig], TrialFlops]

_Work = tuple[Any, ...]


class CheapFirst:
    """Proposals in another order, and numbered in that order.

    The first one, the baseline, stays the first, and warm trials are the next. Then as many as depend on no result are
    asked for, up to LOOK_AHEAD, and handed out one by one: whichever costs least on the machine that has become free,
    and of equal ones the one that was asked for first. All of them are out before more are asked for. What depends on
    results comes as it is asked for. A search that is not cut short has the same trials as without this.
    """

    def __init__(self, proposals: DrawnTrials, flops: CountFlops, independent: int | None) -> None:
        """
        Args:
            independent: how many of the first proposals depend on no result; None: all.
        """
        self._proposals = proposals
        self._independent = independent
        self._asked = 0
        self._waiting: list[Proposal] = []
        """in the order asked"""
        self._asked_as: dict[str, str] = {}
        """trial -> what the proposals call it"""
        self._works: dict[str, _Work] = {}
        """trial -> what it has to compute"""
        self._nodes: dict[str, str] = {}
        """trial -> the machine that it runs on; "" before that is known"""
        self._free = ""
        """the machine that the next trial is likely to run on"""
        self._done: defaultdict[str, set[_Work]] = defaultdict(set)
        """machine -> what has been computed on it, or is being computed"""
        self._flops_of = functools.cache(lambda work: flops(self._examples[work]))
        self._examples: dict[_Work, TrialConfig] = {}
        """what there is to compute -> one of the configs that ask for it"""

    def replay(self, past: Iterable[PastProposal]) -> None:
        """Be where a search was left that has handed these out; what it had asked for beside them is asked again.

        Where that is not to be had again, since the space has become smaller, the others close up.
        """
        left = sorted(past, key=lambda one: one.draw)
        while left:
            for draw in range(self._asked, self._asked + self._room()):
                if (left and left[0].draw <= draw) or (not self._ask() and left):
                    self._replay(left.pop(0))

    def _replay(self, one: PastProposal) -> None:
        trial, work = one.told.trial, _work(one.config)
        self._asked_as[trial], self._works[trial] = self._proposals.replay(one), work
        self._asked += 1
        self._examples[work] = one.config
        self._runs_on(trial, "")

    @property
    def exhausted(self) -> bool:
        return not self._waiting and self._proposals.exhausted

    def next(self) -> Proposal | None:
        if not self._waiting:
            self._look_ahead()
        if not self._waiting:
            return None
        warm = (waiting for waiting in self._waiting if "warm_start" in waiting.facts)
        proposal = next(warm, None) or self._cheapest()
        self._waiting.remove(proposal)
        trial = f"t{len(self._asked_as) + 1:04d}"
        facts = dict(proposal.facts) | {"number": len(self._asked_as), "draw": proposal.facts["number"]}
        self._asked_as[trial], self._works[trial] = proposal.trial, _work(proposal.config)
        self._runs_on(trial, self._free)
        return replace(proposal, trial=trial, facts=facts)

    def report(self, trial: str, step: int, value: float | None, node: str) -> None:
        self._runs_on(trial, node)
        self._proposals.report(self._asked_as[trial], step, value, node)

    def tell(self, trial: str, status: str, value: float | None) -> None:
        self._free = self._nodes[trial]
        self._proposals.tell(self._asked_as[trial], status, value)

    def resume(self, trial: str) -> None:
        self._proposals.resume(self._asked_as[trial])

    def _look_ahead(self) -> None:
        """Ask for what can be asked for now."""
        for _ in range(self._room()):
            self._ask()

    def _room(self) -> int:
        """How many are asked for together now: the baseline alone, then what depends on no result, else one."""
        independent = LOOK_AHEAD if self._independent is None else self._independent - self._asked
        return max(1, min(LOOK_AHEAD, independent)) if self._asked else 1

    def _ask(self) -> bool:
        """Ask for one; whether there is one."""
        proposal = self._proposals.next()
        if proposal is None:
            return False
        self._asked += 1
        self._waiting.append(proposal)
        self._examples[_work(proposal.config)] = proposal.config
        return True

    def _cheapest(self) -> Proposal:
        """Of those that wait; nothing is counted where all have the same to compute."""
        works = {_work(proposal.config) for proposal in self._waiting}
        if len(works) == 1:
            return self._waiting[0]
        there = {prefix for work in self._done[self._free] for prefix in self._flops_of(work).shared}
        costs = {work: _cost(self._flops_of(work), there) for work in works}
        return min(self._waiting, key=lambda proposal: costs[_work(proposal.config)])

    def _runs_on(self, trial: str, node: str) -> None:
        self._nodes[trial] = node
        self._done[node].add(self._works[trial])


def _work(config: TrialConfig) -> _Work:
    """What a trial has to compute. Its head is left out: it costs next to nothing beside the blocks."""
    stages = tuple((stage.epochs, stage.freeze) for stage in config.plan)
    seed = None if config.pretrained else config.seed
    return config.backbone, seed, config.image_size, stages, config.augment, config.mix.kind


def _cost(flops: TrialFlops, there: set[Prefix]) -> float:
    return flops.own + sum(count for prefix, count in flops.shared.items() if prefix not in there)
