"""What to try next: TPE or random search on an in-memory Optuna study, or a grid in fixed order.

The study is a memory, not a record: `replay` rebuilds it from the event log. Each ask draws from a generator keyed by
the seed and the number of asks before it, so a resumed search does not draw again what it drew in its first hours:
with the same memory it draws what it would have drawn unbroken.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, assert_never

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from search_spaces.axes import Value
from search_spaces.space import Space
from tuner.ray_backend.domain import Domain, Label, state_of
from tuner.ray_backend.lessons import Lesson, frozen_trial, lesson_of

Direction = Literal["maximize", "minimize"]
Kind = Literal["tpe", "random", "grid"]


@dataclass(frozen=True)
class PastTrial:
    """A trial as the event log tells of it."""

    trial: str
    params: Mapping[str, Value]
    """axis path -> value"""
    values: Sequence[tuple[int, float | None]] = ()
    """(step, objective) in the order reported; None or NaN: it could not be computed"""
    status: str = "running"
    best_value: float | None = None
    """None for a trial that diverged"""


class Sampler(Protocol):
    """Proposes params and learns from how they did; called from one thread."""

    def ask(self, trial: str) -> dict[str, Value] | None:
        """Axis path -> value for the active axes, the baseline's first; None when nothing is left to try."""

    def take(self, trial: str, params: Mapping[str, Value]) -> None:
        """Take in a trial that was chosen elsewhere, in place of an `ask`."""

    def report(self, trial: str, step: int, value: float | None) -> None:
        """Take in the objective after `step` epochs; None or NaN: it could not be computed."""

    def tell(self, trial: str, status: str, value: float | None) -> None:
        """Take in how a trial ended or that it paused, and its best objective; None or NaN: it diverged.

        Raises:
            KeyError: the trial was never asked for or has ended before.
        """

    def resume(self, trial: str) -> None:
        """Take in that a trial goes on that paused or failed: what it taught is forgotten until it is told of again.

        Raises:
            KeyError: the trial has neither.
        """

    def replay(self, past: Iterable[PastTrial]) -> list[str]:
        """Remember earlier trials, in the order asked, as if they had been asked here.

        Unfinished ones may be reported and told afterwards. Returns the ids of those that it cannot learn from, since
        an active axis has no value in them or one that no longer lies on it.
        """


STARTUP_TRIALS = 10
"""that TPE draws at random before it models any"""


def independent_draws(kind: Kind) -> int | None:
    """How many of the first trials, the baseline among them, depend on no result; None: all."""
    return STARTUP_TRIALS if kind == "tpe" else None


def make_sampler(
    space: Space, kind: Kind, direction: Direction, seed: int, *, n_startup_trials: int = STARTUP_TRIALS
) -> Sampler:
    """The sampler of a search.

    Args:
        seed: 0 or more; the same seed and the same answers give the same sequence.
        n_startup_trials: as STARTUP_TRIALS.
    """
    if kind == "grid":
        return _Grid(space)
    if kind == "random":
        return _Study(space, direction, seed, lambda key: RandomSampler(seed=key))
    if kind == "tpe":
        return _Study(space, direction, seed, lambda key: _tpe(key, n_startup_trials))
    assert_never(kind)


def _tpe(key: int, n_startup_trials: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` is one
        return TPESampler(
            seed=key, multivariate=True, group=True, constant_liar=True, n_startup_trials=n_startup_trials
        )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's notices off stderr while it creates a study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@dataclass
class _Running:
    number: int | None
    """in the study; None: the study does not know the trial"""
    values: dict[int, float] = field(default_factory=dict)
    """step -> objective, NaN where it could not be computed"""

    def report(self, step: int, value: float | None) -> None:
        # A trial that goes on from an earlier checkpoint repeats steps; those after it are no longer true of it.
        while self.values and next(reversed(self.values)) >= step:
            self.values.popitem()
        self.values[step] = math.nan if value is None else float(value)


class _Study:
    """TPE and random search over an in-memory Optuna study."""

    def __init__(self, space: Space, direction: Direction, seed: int, algorithm: Callable[[int], BaseSampler]) -> None:
        self._space = space
        self._domain = Domain(space)
        self._direction = direction
        self._seed = seed
        self._algorithm = algorithm
        self._study = self._new_study()
        self._asked = 0
        self._running: dict[str, _Running] = {}
        self._may_go_on: dict[str, _Running] = {}
        self._amended: dict[int, Lesson] = {}
        """number in the study -> what it should say of trials that were paused there and went on"""

    @property
    def trials(self) -> list[FrozenTrial]:
        """What is remembered, in the order asked."""
        self._amend()
        return self._study.get_trials()

    def ask(self, trial: str) -> dict[str, Value] | None:
        if self._asked == 0:
            params = dict(self._space.baseline_params())
            self._remember(PastTrial(trial, params))
        else:
            params = self._suggest(trial)
        self._asked += 1
        return params

    def take(self, trial: str, params: Mapping[str, Value]) -> None:
        self._remember(PastTrial(trial, params))
        self._asked += 1

    def report(self, trial: str, step: int, value: float | None) -> None:
        self._running[trial].report(step, value)

    def tell(self, trial: str, status: str, value: float | None) -> None:
        if state_of(status) is TrialState.RUNNING:
            return
        running = self._running.pop(trial)
        if status in ("paused", "failed", "lost"):
            self._may_go_on[trial] = running
        if running.number is None:
            return
        lesson = lesson_of(self._direction, status, value, running.values)
        if running.number in self._amended:
            self._amended[running.number] = lesson
            return
        study = self._storage.get_study_id_from_name(self._study.study_name)
        id = self._storage.get_trial_id_from_study_id_trial_number(study, running.number)
        for step, best in lesson.values.items():
            self._storage.set_trial_intermediate_value(id, step, best)
        # Optuna gives a pruned trial its last intermediate value, which is the lesson's.
        self._study.tell(running.number, lesson.value if lesson.state is TrialState.COMPLETE else None, lesson.state)

    def resume(self, trial: str) -> None:
        running = self._running[trial] = self._may_go_on.pop(trial)
        if running.number is not None:
            self._amended[running.number] = Lesson(TrialState.RUNNING)

    def replay(self, past: Iterable[PastTrial]) -> list[str]:
        skipped = []
        for trial in past:
            self._asked += 1
            if not self._remember(trial):
                skipped.append(trial.trial)
        return skipped

    def _amend(self) -> None:
        """Make the study anew where trials have gone on after a pause: a finished one in it cannot be changed.

        Not before it is asked again: most are promoted when no new trial is to come.
        """
        if not self._amended:
            return
        before, self._study = self._study, self._new_study()
        for found in before.get_trials(deepcopy=False):
            lesson = self._amended.get(found.number)
            self._study.add_trial(frozen_trial(lesson, found.params, found.distributions) if lesson else found)
        self._amended.clear()

    def _new_study(self) -> optuna.Study:
        self._storage = optuna.storages.InMemoryStorage()
        with quiet_optuna():
            return optuna.create_study(
                storage=self._storage, direction=self._direction, sampler=RandomSampler(self._seed)
            )

    def _suggest(self, trial: str) -> dict[str, Value]:
        self._amend()
        # Sampler objects are cheap: all that TPE knows is in the study.
        key = np.random.SeedSequence((self._seed, self._asked)).generate_state(1)[0]
        self._study.sampler = self._algorithm(int(key))
        asked = self._study.ask()
        params: dict[str, Value] = {}
        for path in self._space.order:
            if self._space.active(path, params):
                params[path] = self._domain.value(path, self._draw(asked, path))
        self._running[trial] = _Running(asked.number)
        return {path: params[path] for path in self._space.axes if path in params}

    def _draw(self, asked: optuna.Trial, path: str) -> Label:
        axis = self._domain.distributions[path]
        if isinstance(axis, FloatDistribution):
            return asked.suggest_float(path, axis.low, axis.high, log=axis.log)
        if isinstance(axis, IntDistribution):
            return asked.suggest_int(path, axis.low, axis.high, log=axis.log, step=axis.step)
        assert isinstance(axis, CategoricalDistribution)
        return asked.suggest_categorical(path, axis.choices)

    def _remember(self, past: PastTrial) -> bool:
        """Add a trial to the study, if it has all that one drawn here would have.

        A trial that lacks an axis, as a baseline outside the axes does, stays out whole: from a single one TPE's
        groups would take that axis to be unrelated to the others and never again model them together.
        """
        known = self._domain.covers(past.params)
        running = _Running(len(self._study.get_trials(deepcopy=False)) if known else None)
        for step, value in past.values:
            running.report(step, value)
        if state_of(past.status) is TrialState.RUNNING:
            self._running[past.trial] = running
            lesson = Lesson(TrialState.RUNNING)
        else:
            lesson = lesson_of(self._direction, past.status, past.best_value, running.values)
        if past.status == "paused":
            self._may_go_on[past.trial] = running
        if known:
            labels = self._domain.labels(past.params)
            distributions = {path: self._domain.distributions[path] for path in labels}
            self._study.add_trial(frozen_trial(lesson, labels, distributions))
        return known


class _Grid:
    """Every point of the space's grid once, in its order, after the baseline; answers do not matter to it."""

    def __init__(self, space: Space) -> None:
        self._domain = Domain(space)
        self._baseline: dict[str, Value] | None = dict(space.baseline_params())
        self._points = iter(space.grid())
        self._tried: set[str] = set()

    def ask(self, trial: str) -> dict[str, Value] | None:  # noqa: ARG002
        if self._baseline is not None:
            params, self._baseline = self._baseline, None
            self._mark(params)
            return params
        for point in self._points:
            if self._point(point) not in self._tried:
                self._mark(point)
                return dict(point)
        return None

    def take(self, trial: str, params: Mapping[str, Value]) -> None:  # noqa: ARG002
        self._mark(params)

    def report(self, trial: str, step: int, value: float | None) -> None:
        pass

    def tell(self, trial: str, status: str, value: float | None) -> None:
        pass

    def resume(self, trial: str) -> None:
        pass

    def replay(self, past: Iterable[PastTrial]) -> list[str]:
        skipped = []
        for trial in past:
            self._baseline = None
            if not self._mark(trial.params):
                skipped.append(trial.trial)
        return skipped

    def _mark(self, params: Mapping[str, Value]) -> bool:
        known = self._domain.covers(params)
        if known:
            self._tried.add(self._point(params))
        return known

    def _point(self, params: Mapping[str, Value]) -> str:
        return json.dumps(self._domain.labels(params))
