"""The running trials: asks for them, writes what they report, decides who goes on. Ray only calls it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.schedulers import NoScheduler
from search_spaces.space import Space
from trainable.backbones import count_blocks
from trainable.config import TrialConfig
from trainable.freezing import blocks_to_freeze
from trainable.metrics import Objective
from trainable.plugins import loaded_plugins
from tuner.ray_backend.halving.choosing import make_halving
from tuner.ray_backend.halving.ladder import rungs_reached
from tuner.ray_backend.halving.protocol import Decision, Halving
from tuner.ray_backend.proposals import BASELINE, Proposal, Proposals, SampledTrials
from tuner.ray_backend.sampler import make_sampler
from tuner.ray_backend.worker import Assignment
from tuner.store import Store


class Driver:
    """Trials of one search while they run. Every event is in the log before the sampler or a table hears of it.

    Called from Ray Tune's loop, one call at a time. `deadline` is a time.monotonic() after which trials stop at their
    next epoch. `stratum_fields` are the config fields within whose equal values `halving` compares.
    """

    def __init__(
        self,
        store: Store,
        proposals: Proposals,
        halving: Halving,
        *,
        deadline: float | None,
        weights_sha256: Mapping[str, str],
        stratum_fields: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._proposals = proposals
        self._halving = halving
        self._deadline = deadline
        self._weights_sha256 = weights_sha256
        self._stratum_fields = stratum_fields
        self.running: dict[str, _Trial] = {}
        self._halted: dict[str, _Trial] = {}
        """those that paused at a rung and may go on"""
        self.cut_short = False
        """whether the deadline kept a trial from starting or from going on"""

    def ask(self) -> Proposal | None:
        """The next trial to run, a promoted or a new one; None when there is none, until a running one ends."""
        return self._promoted() or self._new() or self._promoted()  # a grid learns only when asked that it is through

    def report(self, trial: str, report: Mapping[str, Any]) -> bool:
        """Take in an epoch; True: stop the trial here. One that goes on repeats its last report, which is ignored."""
        running = self.running[trial]
        epoch, value = report["epoch"], report["best_value"]
        if epoch <= running.epoch:
            return False
        running.epoch, running.best_value = epoch, value
        self._store.append("epoch", trial, **_epoch_fields(report))
        self._proposals.report(trial, report["step"], report["value"])
        if report["status"] != "running":
            return True
        running.decision = self._halving.report(trial, epoch, value)
        return running.decision != "go_on" or self._out_of_time()

    def end(self, trial: str, status: str, error: str | None = None, **facts: Any) -> None:
        """Take in that a trial has ended or paused; a second end of the same trial is ignored."""
        running = self.running.pop(trial, None)
        if running is None:
            return
        if running.decision != "go_on":
            facts["rung"] = rungs_reached(self._halving.levels, running.epoch)
        self._store.append("trial_ended", trial, status=status, error=error, **facts)
        diverged = status == "pruned" and error is not None
        self._proposals.tell(trial, status, None if diverged else running.best_value)
        self._halving.ended(trial, running.best_value, status == "early_stopped")
        if running.decision == "pause":
            self._halted[trial] = running

    def retry(self, trial: str) -> None:
        """Take in that a trial's process died and that it will go on in another one, unless it had ended."""
        if trial not in self.running:
            return
        self._store.append("trial_resumed", trial, reason="the worker process died")

    def stopped_early(self, trial: str) -> str:
        """The status of a trial that was told to stop: `pruned` or `paused` at a rung, or `paused` for want of time."""
        return "pruned" if self.running[trial].decision == "stop" else "paused"

    def _new(self) -> Proposal | None:
        """A trial that nobody has begun."""
        if self._proposals.exhausted or self._out_of_time():
            return None
        proposal = self._proposals.next()
        if proposal is None:
            return None
        trial = proposal.trial
        self.running[trial] = _Trial(proposal)
        self._store.append(
            "trial_started",
            trial,
            config=proposal.config.model_dump(mode="json"),
            **proposal.facts,
            **self._facts(proposal.config),
        )
        self._halving.started(trial, self._stratum(proposal.config))
        return proposal

    def _promoted(self) -> Proposal | None:
        """A paused trial that has proved to be worth more epochs."""
        promotion = self._halving.promotable(all_started=self._proposals.exhausted)
        if promotion is None or self._out_of_time():
            return None
        trial, rung = promotion.trial, promotion.rung
        going_on = self.running[trial] = self._halted.pop(trial)
        going_on.decision = "go_on"
        goal = f"rung {rung}" if rung <= len(self._halving.levels) else "the last epoch"
        self._store.append("trial_resumed", trial, reason=f"promoted to {goal}", rung=rung)
        self._halving.promote(trial)
        self._proposals.resume(trial)
        return going_on.proposal

    def _out_of_time(self) -> bool:
        """Asked where a trial is still to be started or to go on, so that a late end of the last one does not count."""
        self.cut_short = self.cut_short or (self._deadline is not None and time.monotonic() >= self._deadline)
        return self.cut_short

    def _stratum(self, config: TrialConfig) -> str:
        """What halving compares this trial within."""
        fields = config.model_dump(mode="json")
        return json.dumps([_at(fields, path) for path in self._stratum_fields])

    def _facts(self, config: TrialConfig) -> dict[str, Any]:
        """What a trial's config means on this machine: resolved blocks, the weights it starts from."""
        facts: dict[str, Any] = {}
        if config.pretrained:
            facts["weights_sha256"] = self._weights_sha256[config.backbone]
        blocks = count_blocks(config.backbone)
        facts["total_blocks"] = blocks
        if plugins := loaded_plugins():
            facts["plugins"] = {plugin.name: plugin.sha256 for plugin in plugins}
        facts["freeze_blocks"] = blocks_to_freeze(config.freeze, blocks, config.backbone)
        return facts


@dataclass
class _Trial:
    """What the driver remembers of a trial while it runs, or waits at a rung."""

    proposal: Proposal
    epoch: float = 0
    best_value: float | None = None
    decision: Decision = "go_on"


def _epoch_fields(report: Mapping[str, Any]) -> dict[str, Any]:
    """A worker's report as the log keeps it: what only a new best epoch has is under `best`."""
    of_best = {"per_label": "per_class", "labels_left_out": "labels_left_out", "thresholds": "thresholds"}
    fields = {name: value for name, value in report.items() if name not in of_best and name != "status"}
    if report["best_epoch"] == report["epoch"]:
        fields["best"] = {kept: report[told] for told, kept in of_best.items()}
    return fields


def _at(fields: Mapping[str, Any], path: str) -> Any:
    found: Any = fields
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def search_driver(
    store: Store,
    space: Space,
    objective: Objective,
    assignment: Assignment,
    *,
    trials: int,
    seed: int,
    deadline: float | None,
    weights_sha256: Mapping[str, str],
) -> Driver:
    """The driver of a space's own trials: sampled, and halved where its scheduler says so."""
    sampler = make_sampler(space, space.sampler, objective.direction, seed)
    scheduler, epochs = space.scheduler, space.baseline_config().epochs  # which all trials share that are halved
    return Driver(
        store,
        SampledTrials(space, sampler, assignment, trials),
        make_halving(scheduler, epochs, objective.direction, exempt=(BASELINE,)),
        deadline=deadline,
        weights_sha256=weights_sha256,
        stratum_fields=() if isinstance(scheduler, NoScheduler) else scheduler.within,
    )
