"""A search of which nothing is left to be found wrong but training itself, and what it says of itself at its start."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from search_spaces.document import write_yaml
from search_spaces.schedulers import NoScheduler
from search_spaces.space import Space
from trainable.data.cache import cache_limit_bytes
from trainable.data.splits import write_splits
from trainable.errors import UserError
from trainable.metrics import Objective
from trainable.plugins import loaded_plugins
from trainable.weights import Weights
from tuner.config import SearchConfig
from tuner.given_reference import parse_references
from tuner.limits import Feasible, prove_limits
from tuner.notifications.delivery import prove_channels
from tuner.plugins import plugin_hashes
from tuner.preparation import PreparedData
from tuner.provenance import code_sha256, command, git_commit, versions
from tuner.proving import prove_all, provide_weights
from tuner.records import Reference
from tuner.reruns import prove_reruns
from tuner.sharing import shared_depths
from tuner.storage.place import is_url
from tuner.store import Store, write_atomically
from tuner.warm_start import WarmStart, warm_start

if TYPE_CHECKING:
    from tuner.ray_backend.needs import Needs
    from tuner.ray_backend.worker import Assignment


@dataclass(frozen=True)
class ProvedSearch:
    """A search of which nothing is left to be found wrong but training itself."""

    config: SearchConfig
    space: Space
    objective: Objective
    data: PreparedData
    weights: dict[str, Weights]
    references: tuple[Reference, ...]
    feasible: Feasible
    warm: WarmStart
    overrides: tuple[str, ...] = ()

    @property
    def trials(self) -> int:
        return self.config.trials or self.space.trials()

    @property
    def weights_sha256(self) -> dict[str, str]:
        """By backbone."""
        return {name: weights.sha256 for name, weights in self.weights.items()}


def prove_search(config: SearchConfig) -> ProvedSearch:
    """A new search, as `prove` proves it.

    Raises:
        UserError: as `prove`, or a search of this name exists.
    """
    Store.require_free(config.results, config.name)
    return prove(config, config.space)


def prove(
    config: SearchConfig, space: str | Space, *, also: Collection[str] = (), warm: WarmStart | None = None
) -> ProvedSearch:
    """Find every mistake in space, data and options; nothing is written but decoded images and measurements.

    Args:
        also: pretrained backbones beside those of the space
        warm: what the search begins with, where that is known already

    Raises:
        UserError: the mistakes.
    """
    cache_limit_bytes()  # a mistake in its setting would else be each trial's
    prove_channels(config.notify)
    references = parse_references(config.references)
    found = prove_all(space, config.data, download=not config.offline, overrides=config.overrides)
    assert found.data is not None  # data were given
    assert found.reading is not None
    if config.audit and found.space.scheduler.kind == "none":
        raise UserError(f"--audit {config.audit}: the space has scheduler: none, under which no trial is halted")
    prove_reruns(config.reruns, found.data.rows, found.data.labels, found.reading.data_seed)
    feasible = prove_limits(found.space, len(found.data.labels), config.resources.threads_per_trial)
    if warm is None and config.warm_start is not None:
        warm = warm_start(
            found.space,
            config.warm_start,
            config.results,
            config.warm_start_top,
            data_hash=found.data.hash,
            breach=feasible.breach,
        )
    return ProvedSearch(
        config.model_copy(update={"data": found.reading}),
        found.space,
        found.objective,
        found.data,
        found.weights | provide_weights(tuple(also), download=not config.offline),
        references,
        feasible,
        warm or WarmStart(),
        found.overrides,
    )


def write_inputs(store: Store, proved: ProvedSearch) -> None:
    """Write the split, search.yaml, what inspection found and the plugins into a search's folder."""
    write_splits(store.splits, proved.data.rows)
    write_atomically(store.search_yaml, resolved_yaml(proved))
    write_atomically(store.inspection_json, json.dumps(proved.data.inspection.to_json(), indent=1))
    for plugin in loaded_plugins():
        write_atomically(store.folder / "plugins" / plugin.name, plugin.source)
    store.home.push(
        store.splits, store.search_yaml, store.inspection_json, store.folder / "plugins"
    )  # workers read them


def resolved_yaml(proved: ProvedSearch) -> str:
    """search.yaml: everything that decided the search, with all defaults written out."""
    config = proved.config.model_dump(mode="json")
    return write_yaml(
        {
            "search": {**config, "trials": proved.trials},
            "data": _data_facts(proved),
            "weights": {name: {"file": str(w.path), "sha256": w.sha256} for name, w in proved.weights.items()},
            "versions": versions(),
            "git": git_commit(),
            "code": code_sha256(),
            "warm": [{"origin": trial.origin, "params": dict(trial.params)} for trial in proved.warm.trials],
            "space": proved.space.source,
        }
    )


def _data_facts(proved: ProvedSearch) -> dict[str, Any]:
    data = proved.data
    return {
        "root": str(data.root),
        "task": data.task,
        "labels": list(data.labels),
        "hash": data.hash,
        "layout": data.inspection.layout,
        "sizes": data.split_sizes,
        "pixels": {name: list(size) for name, size in data.inspection.sizes.items()},
        "modes": dict(data.inspection.modes),
        "warnings": [f"{problem.row}: {problem.message}" for problem in data.inspection.warnings],
        "data_seed": proved.config.data.data_seed,
        "left_out": data.left_out,
        "options": proved.config.data.model_dump(mode="json"),
    }


def start_facts(proved: ProvedSearch) -> dict[str, Any]:
    """What `search_started` tells."""
    config, space = proved.config, proved.space
    return {
        "name": config.name,
        "command": command(),
        "space": space.name,
        "about": space.about,
        "hypothesis": config.hypothesis or space.hypothesis or "",
        "axes": list(space.axes),
        "overrides": list(proved.overrides),
        "plugins": plugin_hashes(),
        "task": proved.data.task,
        "objective": {"metric": proved.objective.metric, "direction": proved.objective.direction},
        "sampler": space.sampler,
        "scheduler": space.scheduler.model_dump(mode="json"),
        "trials": proved.trials,
        "top_k": config.top_k,
        "language": config.language,
        "labels": list(proved.data.labels),
        "data": _data_facts(proved),
        "seed": config.seed,
        "threads": config.resources.threads_per_trial,
        "versions": versions(),
        "git": git_commit(),
        "precision": config.precision,
        "compute": config.compute,
        "baseline": space.baseline_config().model_dump(mode="json"),
        "limits": space.limits.model_dump(exclude_none=True),
        "never_trained": proved.feasible.never,
        "warm_start_notes": list(proved.warm.notes),
    }


def assignment_of(store: Store, proved: ProvedSearch, needs: Needs | None = None) -> Assignment:
    """What all trials of the search share; `needs` are those of nodes that may join a cluster."""
    from tuner.ray_backend.worker import Assignment

    scheduler = proved.space.scheduler
    if needs and not is_url(needs.results):
        needs = replace(needs, results=str(store.splits.absolute()))
    return Assignment(
        folder=str(store.home.place if is_url(store.place) else store.folder.absolute()),
        root=str(proved.data.root),
        labels=list(proved.data.labels),
        task=proved.data.task,
        data_seed=proved.config.data.data_seed,
        objective=proved.objective.metric,
        weights={name: str(weights.path) for name, weights in proved.weights.items()},
        threads=proved.config.resources.threads_per_trial,
        plugins={plugin.name: plugin.source for plugin in loaded_plugins()},
        patience_from_epoch=0 if isinstance(scheduler, NoScheduler) else scheduler.grace_epochs,
        rungs=list(scheduler.rungs(proved.space.baseline_config().epochs)),
        trials=proved.trials,
        depths=shared_depths(proved.space),
        precision=proved.config.precision,
        compute=proved.config.compute,
        needs=asdict(needs) if needs else None,
    )
