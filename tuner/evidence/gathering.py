"""What a search's predictions say about its table: intervals, ranks, ties, spreads and paired differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tuner.evidence.bootstrap import FEWEST_DEFINED, Bootstrap, Resampled
from tuner.evidence.comparison import Chance, better_rows, seed_variance
from tuner.records import SearchRecord, TrialRecord
from tuner.store import Store

Split = Literal["val", "test"]

_SAME_VALUE = 1e-4
"""predictions whose metric is further from the trial's value, relative to values above 1, are of another epoch"""

_CLEARLY_FASTER = 1.25


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """How a trial's config did over its repeats; the trial itself was chosen for its value and is not among them."""

    mean: float
    sd: float | None
    """of the sample; None for a single run"""
    runs: int


@dataclass(frozen=True)
class Difference:
    """One minus the other on the same images, with its 95 % interval; without a width where both are equal on each."""

    value: float
    low: float
    high: float
    images: int


def _unknown(one: str, other: str, split: Split, metric: str) -> Difference | None:  # noqa: ARG001
    return None


@dataclass(frozen=True)
class Evidence:
    """What predictions support; trials and references without predictions are left out of it."""

    metric: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """trial, rerun or reference -> interval of its objective on validation"""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """eligible trial -> 1 + number of trials significantly better"""
    tied: frozenset[str] = frozenset()
    """trials that none is significantly better than; empty when the best stands alone"""
    cheapest: str | None = None
    """of those tied: fewest parameters, then clearly faster, then of higher value"""
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    """trial -> over its repeats"""
    images: int = 0
    """validation images of the search's split; 0 where it is not known"""
    groups: int = 0
    """groups they form, drawn whole; as many as images where each is its own"""
    seeds: bool = False
    """whether repeats put the luck of the seed into the ranks"""
    by_value: tuple[str, ...] = ()
    """eligible trials whose predictions are missing or do not give their value, so that value alone ranks them"""
    _difference: Callable[[str, str, Split, str], Difference | None] = field(default=_unknown, repr=False)

    def difference(self, one: str, other: str, split: Split = "val", metric: str | None = None) -> Difference | None:
        """One trial (rerun, reference) minus another by paired bootstrap; None where either lacks predictions."""
        return self._difference(one, other, split, metric or self.metric)


def gather(store: Store, record: SearchRecord) -> Evidence:
    """The evidence of a search, running or ended."""
    return Gatherer(store).evidence(record)


class Gatherer:
    """Gathers again and again while a search runs: predictions that it has seen are not resampled again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._bootstrap = Bootstrap(store)

    def evidence(self, record: SearchRecord) -> Evidence:
        """The evidence of the search as this record tells it."""
        with suppress(OSError):  # a table of what is here is better than none
            self._store.fetch(self._store.all_predictions)
        trials = [trial for trial in record.trials if trial.eligible]
        intervals = {name: found.interval for name, found in self._scored(record).items()}
        ranks, seeds = self._ranks(record, trials)
        unbeaten = [trial for trial in record.ranked() if trial.eligible and ranks.get(trial.id) == 1]
        tied = unbeaten if len(unbeaten) > 1 else []
        images = self._bootstrap.split("val")
        return Evidence(
            metric=record.metric,
            intervals={name: Interval(*interval) for name, interval in intervals.items() if interval},
            ranks={**record.ranks(), **ranks},
            tied=frozenset(trial.id for trial in tied),
            cheapest=min(tied, key=_cost).id if tied else None,
            spreads=spreads(record),
            images=len(images.ids),
            groups=images.group_count,
            seeds=seeds,
            by_value=tuple(trial.id for trial in trials if trial.id not in ranks),
            _difference=self._difference,
        )

    def _scored(self, record: SearchRecord) -> dict[str, Resampled]:
        """Whatever has validation predictions of its own value: finished trials, their reruns, references."""
        values = {trial.id: trial.best_value for trial in (*record.trials, *record.reruns) if trial.eligible}
        values |= {found.name: found.val.get(record.metric) for found in record.references if not found.given}
        found = {name: self._of_value(name, record.metric, value) for name, value in values.items()}
        return {name: resampled for name, resampled in found.items() if resampled}

    def _of_value(self, name: str, metric: str, value: float | None) -> Resampled | None:
        found = self._bootstrap.resampled(name, "val", metric)
        if found is None or value is None:
            return None
        return found if math.isclose(found.value, value, rel_tol=_SAME_VALUE, abs_tol=_SAME_VALUE) else None

    def _ranks(self, record: SearchRecord, trials: list[TrialRecord]) -> tuple[dict[str, int], bool]:
        """Rank of each trial with predictions, and whether seeds are in it."""
        rows = {trial.id: runs for trial in trials if (runs := self._runs(record, trial))}
        if not rows:
            return {}, False
        sign = 1.0 if record.direction == "maximize" else -1.0
        values = [sign * np.array([run.value for run in runs]) for runs in rows.values()]
        draws = [sign * np.stack([run.draws for run in runs]) for runs in rows.values()]
        defined = ~np.isnan(np.concatenate(draws)).any(axis=0)
        if defined.mean() < FEWEST_DEFINED:
            return {}, False
        draws = [of_runs[:, defined] for of_runs in draws]
        seeds = seed_variance(list(zip(values, draws, strict=True)))
        means = np.stack([of_runs.mean(axis=0) for of_runs in draws])
        chance = Chance.of(means, np.array([len(of_runs) for of_runs in draws]), seeds)
        better = better_rows(np.array([of_runs.mean() for of_runs in values]), chance)
        return {trial: 1 + int(count) for trial, count in zip(rows, better.sum(axis=1), strict=True)}, seeds is not None

    def _runs(self, record: SearchRecord, trial: TrialRecord) -> list[Resampled]:
        """The runs whose mean is the trial's row: its repeats on the search's own split, or else itself."""
        repeats = [
            again
            for again in record.reruns_of(trial.id, "repeat")
            if again.rerun and again.rerun.data_seed == record.data.get("data_seed")
        ]
        found = [self._of_value(again.id, record.metric, again.best_value) for again in repeats]
        runs = [run for run in found if run]
        itself = self._of_value(trial.id, record.metric, trial.best_value)
        return runs or ([itself] if itself else [])

    def _difference(self, one: str, other: str, split: Split, metric: str) -> Difference | None:
        first, second = (self._bootstrap.resampled(name, split, metric) for name in (one, other))
        if first is None or second is None:
            return None
        return difference_of(first, second, len(self._bootstrap.split(split).ids))


def difference_of(one: Resampled, other: Resampled, images: int) -> Difference | None:
    """One minus the other, resampled on the same images; None where it is undefined or shows no spread but is not 0."""
    paired = one.minus(other)
    if math.isnan(paired.value):
        return None
    if paired.nothing:
        return Difference(0.0, 0.0, 0.0, images)
    return Difference(paired.value, *paired.interval, images) if paired.interval else None


def spreads(record: SearchRecord) -> dict[str, Spread]:
    """Trial -> mean and spread of its repeats, on whatever split they were."""
    values = {
        trial.id: [again.best_value for again in record.reruns_of(trial.id, "repeat") if again.best_value is not None]
        for trial in record.trials
    }
    return {trial: spread(found) for trial, found in values.items() if found}


def spread(values: list[float]) -> Spread:
    """Of one run or more."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), sd, len(values))


def _cost(trial: TrialRecord) -> tuple[float, float]:
    """Parameters, then speed in steps: the same config run twice differs by some percent."""
    parameters = math.inf if trial.total_parameters is None else trial.total_parameters
    speed = trial.images_per_second
    return parameters, -round(math.log(speed, _CLEARLY_FASTER)) if speed else math.inf
