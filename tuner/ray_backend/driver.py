"""The running trials: asks for them, writes what they report, decides who goes on. Ray only calls it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search_spaces.schedulers import NoScheduler
from search_spaces.space import Space
from trainable.backbones import count_blocks
from trainable.config import TrialConfig
from trainable.flops import TrialFlops, trial_flops
from trainable.freezing import blocks_to_freeze
from trainable.metrics import Objective
from trainable.plugins import loaded_plugins
from tuner.ray_backend.allowance import Allowance
from tuner.ray_backend.halving.choosing import make_halving, stratum_of
from tuner.ray_backend.halving.ladder import rungs_reached
from tuner.ray_backend.halving.past import halving_after
from tuner.ray_backend.halving.protocol import Decision, Halving
from tuner.ray_backend.left import GOES_ON, LeftTrial, left_trials, past_proposals
from tuner.ray_backend.ordering import CheapFirst
from tuner.ray_backend.proposals import Proposal, Proposals, SampledTrials
from tuner.ray_backend.sampler import independent_draws, make_sampler
from tuner.ray_backend.worker import Assignment
from tuner.records import BASELINE
from tuner.replay import replay
from tuner.store import Store
from tuner.warm_start import WarmTrial


class Driver:
    """Trials of one search while they run. Every event is in the log before the sampler or a table hears of it.

    Called from Ray Tune's loop, one call at a time. When `allowance` is used up, trials stop at their next epoch, as
    does one that `is_aborted`. `stratum_fields` are the config fields within whose equal values `halving` compares.
    """

    def __init__(
        self,
        store: Store,
        proposals: Proposals,
        halving: Halving,
        *,
        allowance: Allowance,
        weights_sha256: Mapping[str, str],
        stratum_fields: Sequence[str] = (),
        is_aborted: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._store = store
        self._proposals = proposals
        self._halving = halving
        self._allowance = allowance
        self._weights_sha256 = weights_sha256
        self._stratum_fields = stratum_fields
        self._is_aborted = is_aborted
        self.running: dict[str, _Trial] = {}
        self._warned: set[str] = set()
        self._halted: dict[str, _Trial] = {}
        """those that paused at a rung and may go on"""
        self._put_back: deque[tuple[_Trial, str]] = deque()
        """those that go on elsewhere, and why"""
        self._left: deque[LeftTrial] = deque()
        """those that an earlier run of the search was at"""
        self.cut_short = False
        """whether a trial could not start or go on since the allowance was used up"""

    def take_up(self, left: Iterable[LeftTrial]) -> None:
        """Take in what an earlier run of the search has left: to go on, or to wait at a rung as before."""
        for one in left:
            if one.halted:
                waiting = _Trial(one.proposal, one.epoch, one.best_value, decision="pause")
                self._halted[one.proposal.trial] = waiting
            else:
                self._left.append(one)

    def ask(self) -> Proposal | None:
        """The next trial to run, a promoted or a new one; None when there is none, until a running one ends."""
        # in this order, since a grid learns only when it is asked that it is through
        return self._taken_up() or self._handed_on() or self._promoted() or self._new() or self._promoted()

    def report(self, trial: str, report: Mapping[str, Any]) -> bool:
        """Take in an epoch; True: stop the trial here. One that goes on repeats its last report, which is ignored."""
        running = self.running[trial]
        epoch, value = report["epoch"], report["best_value"]
        if epoch <= running.epoch:
            return bool(report["status"] != "running")
        running.epoch, running.best_value = epoch, value
        self._store.append("epoch", trial, gpus=self._allowance.gpus_of(trial), **_epoch_fields(report))
        self._warn(report.get("warning", ""))
        self._proposals.report(trial, report["step"], report["value"], report["node"])
        decision = self._halving.report(trial, epoch, value)
        if report["status"] != "running":
            return True
        running.decision = decision
        running.aborted = decision == "go_on" and self._is_aborted(trial)
        return decision != "go_on" or running.aborted or self._out_of_time()

    def end(self, trial: str, status: str, error: str | None = None, **facts: Any) -> None:
        """Take in that a trial has ended or paused; a second end of the same trial is ignored."""
        running = self.running.pop(trial, None)
        if running is None:
            return
        self._allowance.end(trial)
        if running.decision != "go_on":
            facts["rung"] = rungs_reached(self._halving.levels, running.epoch)
        if running.aborted:
            facts["aborted"] = True
            self._store.append("note", trial, text=f"{trial} was aborted where a tracker shows it")
        self._store.append("trial_ended", trial, status=status, error=error, **facts)
        diverged = status == "pruned" and error is not None
        self._proposals.tell(trial, status, None if diverged else running.best_value)
        self._halving.ended(trial, running.best_value, status == "early_stopped")
        if running.decision == "pause":
            self._halted[trial] = running

    def short_of_memory(self, trial: str, micro_batch: int | None, **facts: Any) -> None:
        """Take in that a trial ran out of memory and goes on: as it is, or from its beginning with micro-batches."""
        if trial not in self.running:
            return
        if micro_batch is not None:
            self.running[trial] = _Trial(_with_micro_batch(self.running[trial].proposal, micro_batch))
            facts["micro_batch"] = micro_batch
        self._store.append("trial_resumed", trial, reason="out of memory", **facts)

    def put_back(self, trial: str, reason: str) -> None:
        """Take in that a trial is to go on in another process, or with more memory, unless it has ended."""
        if trial in self.running:
            self._put_back.append((self.running.pop(trial), reason))
            self._allowance.end(trial)

    def pause(self) -> None:
        """Take in that nothing runs any more: what has not come to an end is paused."""
        self.running |= {waiting.proposal.trial: waiting for waiting, _ in self._put_back}
        self._put_back.clear()
        for trial in list(self.running):
            self.end(trial, "paused")

    def stopped_early(self, trial: str) -> str:
        """The status of a trial that was told to stop.

        `pruned` or `paused` at a rung, `pruned` as well where people have aborted it, or `paused` for want of time.
        """
        told = self.running[trial]
        return "pruned" if told.decision == "stop" or told.aborted else "paused"

    def _new(self) -> Proposal | None:
        """The next of the proposals."""
        if self._proposals.exhausted or self._out_of_time():
            return None
        proposal = self._proposals.next()
        if proposal is None:
            return None
        trial = proposal.trial
        goes_on = proposal.goes_on
        self.running[trial] = _Trial(proposal, goes_on.epoch if goes_on else 0)
        self._allowance.begin(trial)
        if goes_on:
            self._store.append("trial_resumed", trial, **goes_on.facts)
        else:
            config = proposal.config.model_dump(mode="json")
            self._store.append("trial_started", trial, config=config, **proposal.facts, **self._facts(proposal.config))
        self._halving.started(trial, self._stratum(proposal))
        return proposal

    def _taken_up(self) -> Proposal | None:
        """A trial that an earlier run of the search was at, to go on from its last epoch."""
        while self._left:
            left = self._left.popleft()
            trial = left.proposal.trial
            going_on = self.running[trial] = _Trial(left.proposal, left.epoch, left.best_value, left.decision)
            if left.decision != "go_on":  # a kill came between its last report and its end
                self.end(trial, self.stopped_early(trial))
            elif not self._out_of_time():
                self._allowance.begin(trial)
                self._store.append("trial_resumed", trial, reason=GOES_ON)
                if left.paused:
                    self._proposals.resume(trial)
                self._halving.started(trial, self._stratum(left.proposal))
                return going_on.proposal
            elif left.paused:  # as the log says already
                del self.running[trial]
            else:
                self.end(trial, "paused")
        return None

    def _stratum(self, proposal: Proposal) -> str:
        return stratum_of(proposal.config.model_dump(mode="json"), self._stratum_fields)

    def _handed_on(self) -> Proposal | None:
        """A trial that was put back, to go on from its last epoch."""
        while self._put_back:
            waiting, reason = self._put_back.popleft()
            trial = waiting.proposal.trial
            self.running[trial] = waiting
            if not self._out_of_time():
                self._allowance.begin(trial)
                self._store.append("trial_resumed", trial, reason=reason)
                return waiting.proposal
            self.end(trial, "paused")
        return None

    def _promoted(self) -> Proposal | None:
        """A paused trial that has proved to be worth more epochs."""
        promotion = self._halving.promotable(all_started=self._proposals.exhausted)
        if promotion is None or self._out_of_time():
            return None
        trial, rung = promotion.trial, promotion.rung
        going_on = self.running[trial] = self._halted.pop(trial)
        going_on.decision = "go_on"
        self._allowance.begin(trial)
        goal = f"rung {rung}" if rung <= len(self._halving.levels) else "the last epoch"
        self._store.append("trial_resumed", trial, reason=f"promoted to {goal}", rung=rung)
        self._halving.promote(trial)
        self._proposals.resume(trial)
        return going_on.proposal

    def _warn(self, text: str) -> None:
        """Have people read what workers warn of, once however many do."""
        if text and text not in self._warned:
            self._warned.add(text)
            self._store.append("note", text=text)

    def _out_of_time(self) -> bool:
        """Asked where a trial is still to be started or to go on, so that a late end of the last one does not count."""
        self.cut_short = self.cut_short or bool(self._allowance.used_up)
        return self.cut_short

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
    aborted: bool = False
    """by people, at its last evaluation"""


def _with_micro_batch(proposal: Proposal, micro_batch: int) -> Proposal:
    return replace(proposal, config=proposal.config.model_copy(update={"micro_batch": micro_batch}))


def _epoch_fields(report: Mapping[str, Any]) -> dict[str, Any]:
    """A worker's report as the log keeps it: what only a new best epoch has is under `best`."""
    of_best = {"per_label": "per_class", "labels_left_out": "labels_left_out", "thresholds": "thresholds"}
    fields = {name: value for name, value in report.items() if name not in (*of_best, "status", "warning")}
    if report["best_epoch"] == report["epoch"]:
        fields["best"] = {kept: report[told] for told, kept in of_best.items()}
    return fields


def search_driver(
    store: Store,
    space: Space,
    objective: Objective,
    assignment: Assignment,
    *,
    trials: int,
    seed: int,
    allowance: Allowance,
    weights_sha256: Mapping[str, str],
    split_sizes: Mapping[str, int],
    warm: Iterable[WarmTrial] = (),
    breach: Callable[[TrialConfig], str | None] = lambda _: None,
    past: Sequence[Mapping[str, Any]] = (),
    is_aborted: Callable[[str], bool] = lambda _: False,
) -> Driver:
    """The driver of a space's own trials: sampled, cheap ones first, and halved where its scheduler says so.

    Args:
        split_sizes: numbers of images
        warm: trials that come right after the baseline
        breach: a config that breaks a limit is never a trial
        past: the search's log so far; the driver is where that leaves it, and what was running goes on first
        is_aborted: whether people have aborted a trial
    """
    sampler = make_sampler(space, space.sampler, objective.direction, seed)
    scheduler, epochs = space.scheduler, space.baseline_config().epochs  # which all trials share that are halved
    proposals = SampledTrials(space, sampler, assignment, trials, warm, breach)

    def flops(config: TrialConfig) -> TrialFlops:
        return trial_flops(config, len(assignment.labels), split_sizes["train"], split_sizes["val"])

    ordered = CheapFirst(proposals, flops, independent_draws(space.sampler))
    record, halved = replay(past), halving_after(past)
    ordered.replay(past_proposals(record))
    driver = Driver(
        store,
        ordered,
        halved.halving if record.trials else make_halving(scheduler, epochs, objective.direction, exempt=(BASELINE,)),
        allowance=allowance,
        weights_sha256=weights_sha256,
        stratum_fields=() if isinstance(scheduler, NoScheduler) else scheduler.within,
        is_aborted=is_aborted,
    )
    driver.take_up(left_trials(record, halved.decided, assignment))
    return driver
