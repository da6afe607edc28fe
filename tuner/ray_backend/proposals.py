"""Where a search's trials come from: sampled from its space, or a list of configs to train again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from search_spaces.space import Space
from trainable.config import TrialConfig
from tuner.ray_backend.sampler import Sampler
from tuner.ray_backend.worker import Assignment

BASELINE = "t0001"


@dataclass(frozen=True)
class Proposal:
    """A trial to run."""

    trial: str
    config: TrialConfig
    assignment: Assignment
    facts: Mapping[str, Any] = field(default_factory=dict)
    """what `trial_started` tells of it beside its config"""


class Proposals(Protocol):
    """Gives the next trial and hears how each one does; called from one thread."""

    @property
    def exhausted(self) -> bool:
        """Whether it is known that there is no next one."""

    def next(self) -> Proposal | None:
        """The next trial, or None when there is none to come."""

    def report(self, trial: str, step: int, value: float | None) -> None:
        """Take in the objective at an evaluation."""

    def tell(self, trial: str, status: str, value: float | None) -> None:
        """Take in how a trial ended or that it paused, and its best objective; None: it diverged."""

    def resume(self, trial: str) -> None:
        """Take in that a paused trial goes on."""


class SampledTrials:
    """The baseline, then what the sampler asks for, up to a number of trials."""

    def __init__(self, space: Space, sampler: Sampler, assignment: Assignment, trials: int) -> None:
        self._space = space
        self._sampler = sampler
        self._assignment = assignment
        self._trials = trials
        self._asked = 0

    @property
    def exhausted(self) -> bool:
        return self._asked >= self._trials

    def next(self) -> Proposal | None:
        if self.exhausted:
            return None
        trial = f"t{self._asked + 1:04d}"
        params = self._sampler.ask(trial)
        if params is None:
            self._trials = self._asked
            return None
        baseline = trial == BASELINE
        config = self._space.baseline_config() if baseline else self._space.config(params)
        facts = {"number": self._asked, "params": params, "baseline": baseline}
        self._asked += 1
        return Proposal(trial, config, self._assignment, facts)

    def report(self, trial: str, step: int, value: float | None) -> None:
        self._sampler.report(trial, step, value)

    def tell(self, trial: str, status: str, value: float | None) -> None:
        self._sampler.tell(trial, status, value)

    def resume(self, trial: str) -> None:
        self._sampler.resume(trial)


class ListedTrials:
    """Trials that are known beforehand; nothing is learnt from them."""

    def __init__(self, proposals: Iterable[Proposal]) -> None:
        self._left = deque(proposals)

    @property
    def exhausted(self) -> bool:
        return not self._left

    def next(self) -> Proposal | None:
        return self._left.popleft() if self._left else None

    def report(self, trial: str, step: int, value: float | None) -> None:
        """Nothing."""

    def tell(self, trial: str, status: str, value: float | None) -> None:
        """Nothing."""

    def resume(self, trial: str) -> None:
        """Nothing."""
