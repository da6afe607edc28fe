"""Where a search's trials come from: sampled from its space, or a list of configs to train again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from search_spaces.axes import Value
from search_spaces.space import Space
from trainable.config import TrialConfig
from tuner.children import Forebear
from tuner.ray_backend.sampler import PastTrial, Sampler
from tuner.ray_backend.worker import Assignment, Work
from tuner.records import BASELINE
from tuner.warm_start import WarmTrial

DRAWS = 1000
"""in a row that may break a limit; a search whose sampler finds nothing else has no more trials"""


@dataclass(frozen=True)
class GoesOn:
    """That a trial trains on from where it was left."""

    epoch: float
    """its last one so far"""
    facts: Mapping[str, Any]
    """what `trial_resumed` tells of it, the reason among it"""


@dataclass(frozen=True)
class Proposal:
    """A trial to run, or a trial or reference to score."""

    trial: str
    config: TrialConfig
    assignment: Assignment
    facts: Mapping[str, Any] = field(default_factory=dict)
    """what `trial_started` tells of it beside its config"""
    goes_on: GoesOn | None = None
    """None: a new trial"""
    work: Work = "train"
    lineage: tuple[Forebear, ...] = ()
    """trials that it goes on from"""

    @property
    def plain(self) -> dict[str, Any]:
        """What a worker needs to know of it, in plain values."""
        return {
            "trial": self.trial,
            "work": self.work,
            "config": self.config.model_dump(mode="json"),
            "assignment": asdict(self.assignment),
            "lineage": [asdict(one) | {"config": one.config.model_dump(mode="json")} for one in self.lineage],
        }


class Proposals(Protocol):
    """Gives the next trial and hears how each one does; called from one thread."""

    @property
    def exhausted(self) -> bool:
        """Whether it is known that there is no next one."""

    def next(self) -> Proposal | None:
        """The next trial, or None when there is none to come."""

    def report(self, trial: str, step: int, value: float | None, node: str) -> None:
        """Take in the objective at an evaluation, and the name of the machine that trains it."""

    def tell(self, trial: str, status: str, value: float | None) -> None:
        """Take in how a trial ended or that it paused, and its best objective; None: it diverged."""

    def resume(self, trial: str) -> None:
        """Take in that a trial goes on that paused or failed."""


@dataclass(frozen=True)
class PastProposal:
    """A trial that a search has already had."""

    told: PastTrial
    """as the log tells of it"""
    config: TrialConfig
    draw: int
    """its place in the order in which trials were asked for, from 0"""
    skipped: Sequence[Mapping[str, Value]] = ()
    """params that were drawn before it and break a limit"""


class DrawnTrials(Proposals, Protocol):
    """Proposals that can be told what they have proposed before."""

    def replay(self, past: PastProposal) -> str:
        """Take in a trial that was asked for before, in place of a `next`; returns what it is called here."""


class SampledTrials:
    """The baseline, warm trials, then what the sampler asks for, up to a number of trials."""

    def __init__(
        self,
        space: Space,
        sampler: Sampler,
        assignment: Assignment,
        trials: int,
        warm: Iterable[WarmTrial] = (),
        breach: Callable[[TrialConfig], str | None] = lambda _: None,
    ) -> None:
        """
        Args:
            breach: tells the limit that a config breaks; a draw that does is no trial, and the sampler draws again.
        """
        self._space = space
        self._sampler = sampler
        self._assignment = assignment
        self._trials = trials
        self._warm = deque(warm)
        self._breach = breach
        self._asked = 0

    @property
    def exhausted(self) -> bool:
        return self._asked >= self._trials

    def next(self) -> Proposal | None:
        if self.exhausted:
            return None
        trial = f"t{self._asked + 1:04d}"
        baseline = trial == BASELINE
        params, origin = self._drawn(trial) if baseline or not self._warm else self._taken(trial)
        if params is None:
            self._trials = self._asked
            return None
        config = self._space.baseline_config() if baseline else self._space.config(params)
        facts = {"number": self._asked, "params": params, "baseline": baseline, **origin}
        self._asked += 1
        return Proposal(trial, config, self._assignment, facts)

    def replay(self, past: PastProposal) -> str:
        trial = f"t{self._asked + 1:04d}"
        skipped = [PastTrial(f"{trial}, skipped", params, status="pruned") for params in past.skipped]
        self._sampler.replay([*skipped, replace(past.told, trial=trial)])
        self._asked += 1
        return trial

    def _taken(self, trial: str) -> tuple[dict[str, Value], dict[str, Any]]:
        """The next warm trial's params, and where they come from."""
        warm = self._warm.popleft()
        self._sampler.take(trial, warm.params)
        return dict(warm.params), {"warm_start": warm.origin}

    def _drawn(self, trial: str) -> tuple[dict[str, Value] | None, dict[str, Any]]:
        """The sampler's next params that break no limit, and the draws before them that do.

        It takes those for the worst there are: TPE draws again and again what it has never been told of. So a replay
        must tell it of them, too.
        """
        skipped: list[dict[str, Value]] = []
        while len(skipped) < DRAWS or self._space.sampler == "grid":
            params = self._sampler.ask(trial)
            if params is None or trial == BASELINE or self._breach(self._space.config(params)) is None:
                return params, {"skipped": skipped} if skipped else {}
            self._sampler.tell(trial, "pruned", None)
            skipped.append(params)
        return None, {}

    def report(self, trial: str, step: int, value: float | None, node: str) -> None:  # noqa: ARG002
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

    def report(self, trial: str, step: int, value: float | None, node: str) -> None:
        """Nothing."""

    def tell(self, trial: str, status: str, value: float | None) -> None:
        """Nothing."""

    def resume(self, trial: str) -> None:
        """Nothing."""
