"""What every way of halving is asked and answers: numbers in, decisions out, no process in sight.

A search asks in a loop: `promotable`, else a new trial, `started`; after each evaluation `report`; at a trial's end, or
once it was halted, `ended`. Decisions depend on the order of these calls and on nothing else, so repeating the event
log rebuilds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Decision = Literal["go_on", "stop", "pause"]
"""`stop`: for good; `pause`: the trial may be promoted later"""


@dataclass(frozen=True)
class Promotion:
    """A paused trial that is to go on."""

    trial: str
    rung: int
    """where it goes on to, from 1; one more than there are rungs: the last epoch"""


class Halving(Protocol):
    """Decides which trials are worth more epochs."""

    @property
    def levels(self) -> tuple[float, ...]:
        """The epochs at which decisions fall, ascending: the rungs."""

    def started(self, trial: str, stratum: str = "") -> None:
        """Take in that a trial trains, for the first time or again after an interruption.

        Args:
            stratum: the trial is compared with those of the same stratum only.
        """

    def report(self, trial: str, epoch: float, best_so_far: float | None) -> Decision:
        """Take in the best objective of a trial that has started, after `epoch` epochs, 1.0 after the first.

        A rung between two evaluations is decided at the second. A best that is None or not finite never enters a rung:
        whether a diverged trial goes on is not decided here.
        """

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:
        """Take in that a trial trains no more, and its best objective; `early_stopped`: by its patience."""

    def promotable(self, all_started: bool) -> Promotion | None:
        """The paused trial that should go on next, if any should yet; `all_started`: no new trial is to come."""

    def promote(self, trial: str) -> None:
        """Take in that a paused trial goes on."""

    @property
    def paused(self) -> list[str]:
        """The trials that wait at a rung: the highest rung's first, in each the best first."""


class NoHalving:
    """Every trial runs to its end: `scheduler: none`."""

    levels: tuple[float, ...] = ()

    def started(self, trial: str, stratum: str = "") -> None:
        """Nothing."""

    def report(self, trial: str, epoch: float, best_so_far: float | None) -> Decision:  # noqa: ARG002
        return "go_on"

    def ended(self, trial: str, best: float | None, early_stopped: bool) -> None:
        """Nothing."""

    def promotable(self, all_started: bool) -> Promotion | None:  # noqa: ARG002
        return None

    def promote(self, trial: str) -> None:
        raise ValueError(f"{trial} is not paused")

    @property
    def paused(self) -> list[str]:
        return []
