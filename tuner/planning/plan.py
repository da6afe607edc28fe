"""A search's plan: its backbones measured for seconds on this device, its course simulated several times."""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces.space import Space
from trainable.config import TrialConfig
from trainable.data.cache import cache_limit_bytes
from trainable.data.splits import write_splits
from trainable.errors import UserError
from trainable.metrics import Objective
from tuner.config import SearchConfig
from tuner.limits import prove_limits
from tuner.planning.costs import BackboneCost, Model, Work, checkpoint_bytes, measure_model, model_of
from tuner.planning.device import Basis, basis_of, read_seconds_per_byte
from tuner.planning.drawing import DrawnTrials
from tuner.planning.simulate import Course, Machine, Simulation
from tuner.preparation import PreparedData
from tuner.proving import prove_all
from tuner.ray_backend.resources import MemoryKey, memory_key

if TYPE_CHECKING:
    import torch

    from trainable.data.dataset import ImageDataset

SEARCHES = 10
"""simulated, with other configs and scores each; a plan tells their means"""


@dataclass(frozen=True)
class Means:
    """What simulated searches come to, on average."""

    seconds: float
    """until the last trial ends"""
    trial_seconds: float
    """of all trials together"""
    trial_seconds_of: Mapping[Model, float]
    trials: float
    """that begin"""
    reached: Mapping[float, float]
    """epochs -> trials that are trained so long, at least"""
    epochs: float
    feature_bytes: float
    checkpoint_bytes: float
    """at any time, at most"""
    recomputed: Mapping[tuple[Model, int], str]
    """backbone, size and frozen blocks whose features are computed again each time, in any of the searches -> why"""
    cut_short: bool
    """whether any was"""


@dataclass(frozen=True)
class Plan:
    """What a search will take."""

    space: Space
    data: PreparedData
    basis: Basis
    costs: Mapping[Model, BackboneCost]
    trials_asked: int
    epochs_unhalved: float
    """if no trial were halted"""
    shared: Means
    unshared: Means
    """if every epoch computed its features anew"""
    image_bytes: int
    """decoded, at every size"""
    left_out: float
    """share of what the sampler draws that breaks a limit"""
    never_trained: Sequence[str]

    @property
    def memory_gib(self) -> dict[MemoryKey, float]:
        """The most that training takes."""
        return {key: gib for cost in self.costs.values() for key, gib in cost.memory_gib.items()}


def plan_search(config: SearchConfig) -> Plan:
    """Measure and simulate a search. Nothing is trained, and pretrained weights may be missing.

    Raises:
        UserError: a mistake in space, data or options; GPU time is limited and there is no GPU.
    """
    from trainable.devices import trial_device

    found = prove_all(config.space, config.data, download=False, overrides=config.overrides, with_weights=False)
    space, data = found.space, found.data
    assert data is not None  # they were given
    assert found.reading is not None
    basis = basis_of(config.resources, trial_device())
    feasible = prove_limits(space, len(data.labels), basis.threads)
    trials = config.trials or space.trials()
    drawn = [DrawnTrials(space, trials, seed, feasible.breach) for seed in range(SEARCHES)]
    searches = [one.configs for one in drawn]
    costs, work = _measured(space, searches, data, found.reading.data_seed, found.objective, basis.threads)
    image_bytes = sum(3 * size**2 for size in space.sizes()) * len(data.rows)
    budget = max(0, cache_limit_bytes() - image_bytes)
    machine = Machine(basis.workers, budget, read_seconds_per_byte(), *_limits(config, space, basis))
    keeps_all = config.audit or space.scheduler.kind in ("pausing_asha", "one_epoch")
    kept = trials if keeps_all else config.top_k + 1 + basis.workers
    shared, unshared = (
        _means(space, searches, costs, work, replace(machine, sharing=sharing), kept) for sharing in (True, False)
    )
    draws = sum(one.draws for one in drawn)
    return Plan(
        space=space,
        data=data,
        basis=basis,
        costs=costs,
        trials_asked=trials,
        epochs_unhalved=statistics.fmean(sum(config.epochs for config in configs) for configs in searches),
        shared=shared,
        unshared=unshared,
        image_bytes=image_bytes,
        left_out=1 - sum(len(configs) - 1 for configs in searches) / draws if draws else 0.0,
        never_trained=feasible.never,
    )


def _limits(config: SearchConfig, space: Space, basis: Basis) -> tuple[float | None, float | None]:
    """Seconds that the search may take, and all its trials together."""
    hours = config.hours or space.budget.hours
    gpu_hours = config.gpu_hours or space.budget.gpu_hours
    if gpu_hours and basis.unit != "GPU":
        raise UserError(f"gpu_hours {gpu_hours:g}: no trial has a GPU here; limit the time with --hours")
    return hours and hours * 3600, gpu_hours and gpu_hours * 3600 / basis.units


def _measured(
    space: Space,
    searches: Sequence[Sequence[TrialConfig]],
    data: PreparedData,
    data_seed: int,
    objective: Objective,
    threads: int,
) -> tuple[dict[Model, BackboneCost], Work]:
    """What the backbones take that any of the searches tries, and what their trials share."""
    from trainable.devices import trial_device
    from trainable.measure import evaluation_seconds, torch_threads

    device = trial_device()
    keys: defaultdict[Model, set[MemoryKey]] = defaultdict(set)
    for config in (config for configs in searches for config in configs):
        keys[model_of(config)].add(memory_key(config, "fp32"))
    baseline = space.baseline_config()
    with torch_threads(threads):
        costs = {
            model: measure_model(model, keys[model], baseline.batch_size, len(data.labels), device)
            for model in sorted(keys)
        }
        seconds = evaluation_seconds(baseline, _dataset(data, data_seed, baseline.image_size), objective)
    _forget(device)
    return costs, Work(data.split_sizes["train"], data.split_sizes["val"], seconds)


def _dataset(data: PreparedData, data_seed: int, image_size: int) -> ImageDataset:
    from trainable.data.dataset import open_dataset

    with tempfile.TemporaryDirectory() as folder:
        splits = Path(folder) / "splits.csv"
        write_splits(splits, data.rows)
        return open_dataset(splits, data.root, data.labels, data.task, image_size, data_seed)


def _forget(device: torch.device) -> None:
    """Give a GPU's memory back."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()


def _means(
    space: Space,
    searches: Sequence[Sequence[TrialConfig]],
    costs: Mapping[Model, BackboneCost],
    work: Work,
    machine: Machine,
    kept: int,
) -> Means:
    """Of the searches, each with scores of its own; `kept`: trials that keep checkpoints at once."""
    courses = [Simulation(space, configs, costs, work, machine, seed).run() for seed, configs in enumerate(searches)]
    return Means(
        seconds=_mean(course.seconds for course in courses),
        trial_seconds=_mean(sum(course.trial_seconds.values()) for course in courses),
        trial_seconds_of={model: _mean(course.trial_seconds[model] for course in courses) for model in costs},
        trials=_mean(len(course.epochs) for course in courses),
        reached=_reached(space, courses),
        epochs=_mean(sum(course.epochs) for course in courses),
        feature_bytes=_mean(course.feature_bytes for course in courses),
        checkpoint_bytes=_mean(
            _largest(
                kept, (checkpoint_bytes(config, costs[model_of(config)]) for config in configs[: len(course.epochs)])
            )
            for configs, course in zip(searches, courses, strict=True)
        ),
        recomputed={place: why for course in courses for place, why in course.recomputed.items()},
        cut_short=any(course.cut_short for course in courses),
    )


def _reached(space: Space, courses: Sequence[Course]) -> dict[float, float]:
    """At each rung, and at the end where trials share one."""
    most = max(max(course.epochs, default=0.0) for course in courses)
    marks = sorted({*space.scheduler.rungs(space.baseline_config().epochs), most})
    return {mark: _mean(sum(epochs >= mark for epochs in course.epochs) for course in courses) for mark in marks}


def _largest(count: int, sizes: Iterable[int]) -> int:
    """The sum of so many of them."""
    return sum(sorted(sizes, reverse=True)[:count])


def _mean(numbers: Iterable[float]) -> float:
    return statistics.fmean(numbers)
