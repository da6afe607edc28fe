"""A search's course without its training: the scheduler's own decisions on random scores, on a clock that only adds.

A trial's score is drawn once and stays: how many trials are halted, and when, does not depend on what scores mean.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search_spaces.schedulers import NoScheduler
from search_spaces.space import Space
from trainable.config import TrialConfig
from trainable.data.batches import steps_per_epoch
from trainable.stages import Part, next_part
from tuner.planning.costs import BackboneCost, Features, Model, Need, Work, model_of, part_cost
from tuner.ray_backend.halving.choosing import make_halving, stratum_of

BASELINE = "0"
"""the first trial, which is never halted"""


@dataclass(frozen=True)
class Machine:
    """What a search runs on."""

    workers: int
    """trials at once"""
    feature_budget_bytes: int
    read_seconds_per_byte: float
    """of features in the cache"""
    limit_seconds: float | None = None
    """after which trials stop at their next evaluation"""
    limit_trial_seconds: float | None = None
    """the same, of all trials together"""
    sharing: bool = True
    """False: every epoch computes its features anew, as a script without a cache does"""


@dataclass
class Course:
    """What became of a simulated search."""

    epochs: list[float] = field(default_factory=list)
    """of each trial that began, in their order"""
    seconds: float = 0.0
    """until the last trial ended"""
    trial_seconds: defaultdict[Model, float] = field(default_factory=lambda: defaultdict(float))
    feature_bytes: int = 0
    """kept in the cache"""
    recomputed: dict[tuple[Model, int], str] = field(default_factory=dict)
    """backbone, size and frozen blocks whose features are computed again each time -> why"""
    cut_short: bool = False


class Simulation:
    """One search that tries these configs in this order, the baseline first."""

    def __init__(
        self,
        space: Space,
        configs: Sequence[TrialConfig],
        costs: Mapping[Model, BackboneCost],
        work: Work,
        machine: Machine,
        seed: int,
    ) -> None:
        scheduler = space.scheduler
        self._within = () if isinstance(scheduler, NoScheduler) else scheduler.within
        self._halving = make_halving(scheduler, space.baseline_config().epochs, "maximize", exempt=(BASELINE,))
        self._configs = configs
        self._costs = costs
        self._work = work
        self._machine = machine
        scores = random.Random(seed)
        self._scores = [scores.random() for _ in configs]
        self._ready: dict[Features, float] = {}
        """features in the cache -> when they are all there"""
        self._held: dict[Features, float] = {}
        """features in the cache -> how many images they are of"""
        self._course = Course()

    def run(self) -> Course:
        """Until no trial is left, or time."""
        evaluations: list[tuple[float, int, int, Part]] = []
        order, now = itertools.count(), 0.0
        while True:
            while len(evaluations) < self._machine.workers and (trial := self._ask(now)) is not None:
                ends, part = self._train(trial, now, starts=True)
                heapq.heappush(evaluations, (ends, next(order), trial, part))
            if not evaluations:
                self._course.seconds = now
                return self._course
            now, _, trial, part = heapq.heappop(evaluations)
            if self._goes_on(trial, part, now):
                ends, part = self._train(trial, now, starts=False)
                heapq.heappush(evaluations, (ends, next(order), trial, part))

    def _ask(self, now: float) -> int | None:
        """The trial to run next, a promoted or a new one."""
        begun = len(self._course.epochs)
        promotion = self._halving.promotable(all_started=begun == len(self._configs))
        if promotion is None and begun == len(self._configs):
            return None
        if self._out_of_time(now):
            return None
        if promotion is not None:
            self._halving.promote(promotion.trial)
            return int(promotion.trial)
        self._course.epochs.append(0.0)
        fields = self._configs[begun].model_dump(mode="json")
        self._halving.started(str(begun), stratum_of(fields, self._within))
        return begun

    def _train(self, trial: int, now: float, *, starts: bool) -> tuple[float, Part]:
        """Until the next evaluation of a trial: when that is over, and what was trained."""
        config = self._configs[trial]
        cost = self._costs[model_of(config)]
        steps = steps_per_epoch(self._work.train_images, config.batch_size)
        part = next_part(config, self._course.epochs[trial], steps)
        needed = part_cost(config, cost, self._work, part)
        ends = now + needed.own_seconds + starts * cost.build_seconds
        for need in needed.needs:
            ends += self._feature_seconds(need, ends)
        self._course.trial_seconds[model_of(config)] += ends - now
        return ends, part

    def _goes_on(self, trial: int, part: Part, now: float) -> bool:
        """Take in an evaluation."""
        self._course.epochs[trial] = part.trained
        decision = self._halving.report(str(trial), part.trained, self._scores[trial])
        done = part.trained >= self._configs[trial].epochs
        if not done and decision == "go_on" and not self._out_of_time(now):
            return True
        self._halving.ended(str(trial), self._scores[trial], early_stopped=False)
        return False

    def _feature_seconds(self, need: Need, now: float) -> float:
        """What it takes to have features: to read them, to wait for them, or to compute them."""
        if not self._machine.sharing or not need.shareable:
            return need.seconds
        features = need.features
        missing = min(1.0, max(0.0, need.reach - self._held.get(features, 0.0)) / need.images)
        reading = need.held_bytes * self._machine.read_seconds_per_byte
        there = (1 - missing) * reading + max(0.0, self._ready.get(features, now) - now)
        if not missing:
            return there
        reason = self._why_not_kept(need, reading, missing)
        if reason is not None:
            self._course.recomputed[(features.backbone, features.image_size), features.frozen] = reason
            return need.seconds
        seconds = there + missing * need.seconds
        self._course.feature_bytes += round(missing * need.held_bytes)
        self._held[features], self._ready[features] = need.reach, now + seconds
        return seconds

    def _why_not_kept(self, need: Need, reading_seconds: float, missing: float) -> str | None:
        if reading_seconds >= need.seconds:
            return "computing is faster than reading"
        if self._course.feature_bytes + missing * need.held_bytes > self._machine.feature_budget_bytes:
            return "the cache is full"
        return None

    def _out_of_time(self, now: float) -> bool:
        limit, of_trials = self._machine.limit_seconds, self._machine.limit_trial_seconds
        over = limit is not None and now >= limit
        over |= of_trials is not None and sum(self._course.trial_seconds.values()) >= of_trials
        self._course.cut_short |= over
        return over
