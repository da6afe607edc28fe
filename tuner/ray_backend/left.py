"""A search's trials as an earlier run of it has left them in its log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trainable.config import parse_config
from tuner.ray_backend.halving.protocol import Decision
from tuner.ray_backend.proposals import PastProposal, Proposal
from tuner.ray_backend.sampler import PastTrial
from tuner.ray_backend.worker import Assignment
from tuner.records import SearchRecord
from tuner.tolerant import integer, mapping

GOES_ON = "the search goes on"
"""why a trial does that an earlier run of the search was at"""


@dataclass(frozen=True)
class LeftTrial:
    """A trial that an earlier run of the search has left before its end."""

    proposal: Proposal
    epoch: float
    """its last one that was told"""
    best_value: float | None
    paused: bool
    """whether the log says so; else its process was killed"""
    halted: bool = False
    """at a rung, where it waits to be promoted"""
    decision: Decision = "go_on"
    """that its last report led to, where it has not been carried out"""


def past_proposals(search: SearchRecord) -> Iterator[PastProposal]:
    """A space's trials so far, as its proposals must know of them."""
    for trial in search.sampled:
        values = [(epoch.step, epoch.value) for epoch in trial.epochs]
        status = "running" if trial.status == "lost" or trial.again else trial.status  # which it is again
        told = PastTrial(trial.id, trial.params, values, status, trial.best_value)
        draw, skipped = integer(trial.facts.get("draw")), trial.facts.get("skipped")
        yield PastProposal(
            told,
            parse_config(trial.config),
            trial.number if draw is None else draw,
            [mapping(params) for params in skipped] if isinstance(skipped, list) else (),
        )


def left_trials(search: SearchRecord, decided: Mapping[str, Decision], assignment: Assignment) -> Iterator[LeftTrial]:
    """Trials of the space that were left before their end; what an audit has taken up is the audit's."""
    for trial in search.sampled:
        halted = trial.status == "paused" and trial.halted_at is not None
        if (halted or trial.unfinished) and trial.audited_at is None:
            proposal = Proposal(trial.id, parse_config(trial.config), assignment)
            paused, decision = trial.status == "paused", decided.get(trial.id, "go_on")
            yield LeftTrial(proposal, trial.epochs_run, trial.best_value, paused, halted, decision)
