"""The running search: asks for trials, writes what they report, decides who goes on. Ray only calls it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from search_spaces.space import Asha, Space
from trainable.backbones import count_blocks
from trainable.config import TrialConfig
from trainable.freezing import blocks_to_freeze
from trainable.metrics import Objective
from tuner.ray_backend.rungs import NoRungs, Rungs, Stopping
from tuner.ray_backend.sampler import Sampler, make_sampler
from tuner.ray_backend.worker import Assignment
from tuner.store import Store

BASELINE = "t0001"


class Driver:
    """One search while it runs. Every event is in the log before the sampler or a table hears of it.

    Called from Ray Tune's loop, one call at a time. `deadline` is a time.monotonic() after which trials stop at their
    next epoch.
    """

    def __init__(
        self,
        store: Store,
        space: Space,
        objective: Objective,
        assignment: Assignment,
        *,
        trials: int,
        seed: int,
        deadline: float | None,
        weights_sha256: Mapping[str, str],
    ) -> None:
        self._store = store
        self._space = space
        self.assignment = assignment
        self._trials = trials
        self._deadline = deadline
        self._weights_sha256 = weights_sha256
        self._sampler: Sampler = make_sampler(space, space.sampler, objective.direction, seed)
        self._rungs = _rungs(space, objective)
        self._asked = 0
        self.running: dict[str, _Running] = {}
        self.cut_short = False
        """whether the deadline kept a trial from starting or from going on"""

    def ask(self) -> tuple[str, TrialConfig] | None:
        """The next trial, or None when there is none to come."""
        if self._asked >= self._trials or self._out_of_time():
            return None
        trial = f"t{self._asked + 1:04d}"
        params = self._sampler.ask(trial)
        if params is None:
            self._trials = self._asked
            return None
        baseline = trial == BASELINE
        config = self._space.baseline_config() if baseline else self._space.config(params)
        self._asked += 1
        self.running[trial] = _Running(self._stratum(config))
        self._store.append(
            "trial_started",
            trial,
            number=self._asked - 1,
            config=config.model_dump(mode="json"),
            params=params,
            baseline=baseline,
            **self._facts(config),
        )
        return trial, config

    def report(self, trial: str, report: Mapping[str, Any]) -> bool:
        """Take in an epoch; True: stop the trial here."""
        running = self.running[trial]
        epoch, value = report["epoch"], report["best_value"]
        running.epoch, running.best_value = epoch, value
        self._store.append("epoch", trial, **_epoch_fields(report))
        self._sampler.report(trial, epoch, report["value"])
        if report["status"] != "running":
            return True
        return self._rungs.report(trial, epoch, value, running.stratum) or self._out_of_time()

    def end(self, trial: str, status: str, error: str | None = None, **facts: str) -> None:
        """Take in that a trial has ended; a second end of the same trial is ignored."""
        running = self.running.pop(trial, None)
        if running is None:
            return
        self._store.append("trial_ended", trial, status=status, error=error, **facts)
        diverged = status == "pruned" and error is not None
        self._sampler.tell(trial, status, None if diverged else running.best_value)
        self._rungs.ended(trial, running.best_value, status == "early_stopped")

    def retry(self, trial: str) -> None:
        """Take in that a trial's process died and that it will go on in another one."""
        self._store.append("trial_resumed", trial, reason="the worker process died")

    def stopped_early(self, trial: str) -> str:
        """The status of a trial that was told to stop: `pruned` by its rung, or `paused` for want of time."""
        return "pruned" if trial in self._rungs.stopped else "paused"

    def _out_of_time(self) -> bool:
        """Asked where a trial is still to be started or to go on, so that a late end of the last one does not count."""
        self.cut_short = self.cut_short or (self._deadline is not None and time.monotonic() >= self._deadline)
        return self.cut_short

    def _stratum(self, config: TrialConfig) -> str:
        """What ASHA compares this trial within."""
        scheduler = self._space.scheduler
        if not isinstance(scheduler, Asha):
            return ""
        fields = config.model_dump(mode="json")
        return json.dumps([_at(fields, path) for path in scheduler.within])

    def _facts(self, config: TrialConfig) -> dict[str, Any]:
        """What a trial's config means on this machine: resolved blocks, the weights it starts from."""
        facts: dict[str, Any] = {}
        if config.pretrained:
            facts["weights_sha256"] = self._weights_sha256[config.backbone]
        blocks = count_blocks(config.backbone)
        facts["total_blocks"] = blocks
        facts["freeze_blocks"] = blocks_to_freeze(config.freeze, blocks, config.backbone)
        return facts


class _Running:
    """What the driver remembers of a trial while it runs."""

    def __init__(self, stratum: str) -> None:
        self.stratum = stratum
        self.epoch = 0
        self.best_value: float | None = None


def _epoch_fields(report: Mapping[str, Any]) -> dict[str, Any]:
    """A worker's report as the log keeps it: what only a new best epoch has is under `best`."""
    of_best = {"per_label": "per_class", "labels_left_out": "labels_left_out", "thresholds": "thresholds"}
    fields = {name: value for name, value in report.items() if name not in of_best and name != "status"}
    if report["best_epoch"] == report["epoch"]:
        fields["best"] = {kept: report[told] for told, kept in of_best.items()}
    return fields


def _rungs(space: Space, objective: Objective) -> Stopping:
    scheduler = space.scheduler
    if not isinstance(scheduler, Asha):
        return NoRungs()
    epochs = space.baseline_config().epochs  # the same for every trial: no axis under ASHA
    return Rungs(scheduler.grace_epochs, scheduler.reduction_factor, epochs, objective.direction, exempt=(BASELINE,))


def _at(fields: Mapping[str, Any], path: str) -> Any:
    found: Any = fields
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
