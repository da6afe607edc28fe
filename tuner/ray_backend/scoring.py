"""What is scored once nothing trains any more: trials on test, references, and the latency of the models."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tuner.ray_backend.proposals import Proposal
from tuner.store import Store


@dataclass(frozen=True)
class _Scored:
    proposal: Proposal


class Scoring:
    """Hands out what is to be scored and logs the scores. What cannot be scored leaves a note.

    A latency is measured while nothing else runs.
    """

    def __init__(self, store: Store, proposals: Iterable[Proposal]) -> None:
        self._store = store
        self._left = deque(proposals)
        self.running: dict[str, _Scored] = {}

    def ask(self) -> Proposal | None:
        if not self._left or (self.running and self._alone(self._left[0])):
            return None
        proposal = self._left.popleft()
        self.running[proposal.trial] = _Scored(proposal)
        return proposal

    def report(self, trial: str, report: Mapping[str, Any]) -> bool:
        """Log the scores of a trial, reference or model."""
        match self.running[trial].proposal.work:
            case "test":
                self._store.append("test_scored", trial, test=report["scores"], reads=1)
            case "latency":
                self._store.append("model_measured", **report["scores"])
            case _:
                self._store.append("reference_scored", name=trial, given=False, **report["scores"])
        return True

    def _alone(self, following: Proposal) -> bool:
        """Whether what is next may not run beside what runs."""
        works = {following.work, *(scored.proposal.work for scored in self.running.values())}
        return "latency" in works

    def end(self, trial: str, status: str, error: str | None = None, **facts: Any) -> None:  # noqa: ARG002
        scored = self.running.pop(trial, None)
        if scored is None or error is None:
            return
        match scored.proposal.work:
            case "test":
                self._store.append("note", trial, text=f"not scored on test: {error}")
            case "latency":
                backbone = scored.proposal.config.backbone
                self._store.append("note", text=f"the latency of {backbone} was not measured: {error}")
            case _:
                self._store.append("note", text=f"{trial} was not scored: {error}")

    def short_of_memory(self, trial: str, micro_batch: int | None, **facts: Any) -> None:  # noqa: ARG002
        """Scoring takes no gradients, so there is no micro-batch to make smaller."""
        raise AssertionError("a worker that scores ends instead")

    def put_back(self, trial: str, reason: str) -> None:  # noqa: ARG002
        """Nothing is lost but time."""
        if trial in self.running:
            self._left.append(self.running.pop(trial).proposal)

    def pause(self) -> None:
        """What was not scored in time stays without a score."""
        self.running.clear()

    def stopped_early(self, trial: str) -> str:  # noqa: ARG002
        return "complete"
