"""What workers are given, one phase after another: a search's trials, some of them again, and scores at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tuner.ray_backend.proposals import Proposal


class Handed(Protocol):
    """Something that a worker is at."""

    @property
    def proposal(self) -> Proposal: ...


class Phase(Protocol):
    """Hands out work and takes in what comes of it. Called from Ray Tune's loop, one call at a time."""

    @property
    def running(self) -> Mapping[str, Handed]:
        """What workers are at, by its name."""

    def ask(self) -> Proposal | None:
        """The next thing to do; None when there is none, until a running one ends."""

    def report(self, trial: str, report: Mapping[str, Any]) -> bool:
        """Take in what a worker tells; True: it is to stop there."""

    def end(self, trial: str, status: str, error: str | None = None, **facts: Any) -> None:
        """Take in that something has ended; a second end of the same is ignored."""

    def short_of_memory(self, trial: str, micro_batch: int | None, **facts: Any) -> None:
        """Take in that memory ran out, and that the worker goes on with less."""

    def put_back(self, trial: str, reason: str) -> None:
        """Take in that a worker is not at it any more: it is to be handed out again, to go on elsewhere."""

    def pause(self) -> None:
        """Take in that nothing runs any more."""

    def stopped_early(self, trial: str) -> str:
        """The status of what was told to stop."""


class Phases:
    """Phases in a row; each is planned when the one before it is through. The workers are the same throughout."""

    def __init__(self, phases: Iterator[Phase]) -> None:
        self._rest = phases
        self.current = next(phases)

    def ask(self) -> Proposal | None:
        """The next thing to do, of the next phase where this one is through; None as for a phase."""
        while (proposal := self.current.ask()) is None and not self.current.running:
            following = next(self._rest, None)
            if following is None:
                return None
            self.current = following
        return proposal
