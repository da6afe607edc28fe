"""Prove a search, then run it: the story on one page."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.document import write_yaml
from search_spaces.schedulers import NoScheduler
from search_spaces.space import Space
from trainable.config import parse_config
from trainable.data.splits import write_splits
from trainable.errors import UserError
from trainable.metrics import Objective
from trainable.plugins import loaded_plugins
from trainable.weights import Weights
from tuner.closing import score_at_the_end, write_report
from tuner.config import SearchConfig
from tuner.evidence.gathering import Gatherer
from tuner.evidence.halted import draw_halted, halted_trials
from tuner.given_reference import parse_references
from tuner.limits import Feasible, prove_limits
from tuner.plugins import plugin_hashes
from tuner.preparation import PreparedData
from tuner.provenance import git_commit, versions
from tuner.proving import prove_all
from tuner.records import Reference
from tuner.replay import replay
from tuner.report.writer import OutputWriter
from tuner.reruns import plan_reruns, prove_reruns, write_rerun_splits
from tuner.sharing import shared_depths
from tuner.store import Event, Store, write_atomically
from tuner.warm_start import WarmStart, warm_start

if TYPE_CHECKING:
    from tuner.ray_backend.allowance import Allowance
    from tuner.ray_backend.proposals import Proposal
    from tuner.ray_backend.tune_loop import Slots
    from tuner.ray_backend.worker import Assignment

Listener = Callable[[Event], None]


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


def run_search(config: SearchConfig, *listeners: Listener) -> Store:
    """Prove, prepare and run a search; its results are in the store's folder, whatever ends it.

    Args:
        config: what to search
        listeners: called with every event, in order, after it is in the log

    Raises:
        UserError: a mistake in space, data or options, or a search of this name exists; nothing has been written.
        KeyboardInterrupt: Ctrl-C; all that finished is written and running trials are paused.
    """
    proved = _prove(config)
    # Ray and torch take seconds to import: not before there is something to run
    from tuner.ray_backend.tune_loop import Slots, ray_session

    with ray_session(), _interruptible() as interrupted:  # in this order: Ray sets a SIGTERM handler of its own
        slots = Slots(config.resources)
        allowance = _allowance(proved, slots)
        store = Store.create(config.results, config.name)
        with store.lock():
            _write_inputs(store, proved)
            gatherer = Gatherer(store)
            with _followed(store, proved, gatherer, listeners):
                _run(store, proved, slots, allowance, interrupted)
            write_report(store, proved.space, config.top_k, gatherer)
    if interrupted.is_set():
        raise KeyboardInterrupt
    return store


def _prove(config: SearchConfig) -> ProvedSearch:
    Store.require_free(config.results, config.name)
    references = parse_references(config.references)
    found = prove_all(config.space, config.data, download=not config.offline, overrides=config.overrides)
    assert found.data is not None  # data were given
    assert found.reading is not None
    if config.audit and found.space.scheduler.kind == "none":
        raise UserError(f"--audit {config.audit}: the space has scheduler: none, under which no trial is halted")
    prove_reruns(config.reruns, found.data.rows, found.data.labels, found.reading.data_seed)
    feasible = prove_limits(found.space, len(found.data.labels), config.resources.threads_per_trial)
    warm = WarmStart()
    if config.warm_start is not None:
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
        found.weights,
        references,
        feasible,
        warm,
        found.overrides,
    )


def _allowance(proved: ProvedSearch, slots: Slots) -> Allowance:
    """How long the search may take, from now on.

    Raises:
        UserError: GPU time is limited where trials have no GPU.
    """
    from tuner.ray_backend.allowance import Allowance

    hours = proved.config.hours or proved.space.budget.hours
    gpu_hours = proved.config.gpu_hours or proved.space.budget.gpu_hours
    if gpu_hours and not slots.gpus:
        raise UserError(f"gpu_hours {gpu_hours:g}: no trial has a GPU here; limit the time with --hours")
    return Allowance(hours, gpu_hours, slots.gpus_of) if gpu_hours else Allowance(hours)


def _write_inputs(store: Store, proved: ProvedSearch) -> None:
    write_splits(store.splits, proved.data.rows)
    write_atomically(store.search_yaml, resolved_yaml(proved))
    for plugin in loaded_plugins():
        write_atomically(store.folder / "plugins" / plugin.name, plugin.source)


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
        "warnings": [f"{problem.row}: {problem.message}" for problem in data.inspection.warnings],
        "data_seed": proved.config.data.data_seed,
        "left_out": data.left_out,
        "options": proved.config.data.model_dump(mode="json"),
    }


def _run(store: Store, proved: ProvedSearch, slots: Slots, allowance: Allowance, interrupted: threading.Event) -> None:
    from tuner.ray_backend.driver import search_driver
    from tuner.ray_backend.tune_loop import run_trials

    assignment = _assignment(store, proved)
    store.append("search_started", **_start_facts(proved))
    for cost in proved.feasible.costs:
        store.append("model_measured", **asdict(cost))
    for text in filter(None, (proved.space.notes, proved.config.notes, *proved.feasible.never, *proved.warm.notes)):
        store.append("note", text=text)
    for reference in proved.references:
        store.append("reference_scored", **asdict(reference))
    status, reason = "complete", ""
    try:
        driver = search_driver(
            store,
            proved.space,
            proved.objective,
            assignment,
            trials=proved.trials,
            seed=proved.config.seed,
            allowance=allowance,
            weights_sha256=_sha256s(proved),
            split_sizes=proved.data.split_sizes,
            warm=proved.warm.trials,
            breach=proved.feasible.breach,
        )
        run_trials(driver, slots, store.ray / "trials", interrupted)
        cut_short = driver.cut_short
        if not interrupted.is_set() and not cut_short:
            cut_short = _audit(store, proved, assignment, slots, interrupted, allowance)
        if not interrupted.is_set() and not cut_short:
            cut_short = _rerun_best(store, proved, assignment, slots, interrupted, allowance)
        if not interrupted.is_set():
            score_at_the_end(store, proved.space.baseline_config(), assignment, slots, interrupted, proved.config.top_k)
        if interrupted.is_set():
            status, reason = "stopped", "interrupted"
        elif cut_short:
            status, reason = "stopped", allowance.used_up
    except KeyboardInterrupt:
        status, reason = "stopped", "interrupted twice"
        raise
    except BaseException as error:
        status, reason = "failed", f"{type(error).__name__}: {error}"
        raise
    finally:
        store.append("search_ended", status=status, reason=reason)


def _audit(
    store: Store,
    proved: ProvedSearch,
    assignment: Assignment,
    slots: Slots,
    interrupted: threading.Event,
    allowance: Allowance,
) -> bool:
    """Train some of the halted trials to their end, as the options say; whether the allowance cut that short."""
    from tuner.ray_backend.proposals import GoesOn, Proposal

    if not proved.config.audit:
        return False
    search = replay(store.events())
    proposals = [
        Proposal(
            trial.id,
            parse_config(trial.config),
            assignment,
            goes_on=GoesOn(trial.epochs_run, {"reason": "drawn for the audit", "audit": trial.halted_at}),
        )
        for trial in draw_halted(search, proved.config.audit, proved.config.seed)
    ]
    cut_short = _run_listed(store, proved, proposals, "audit", slots, interrupted, allowance)
    for trial in halted_trials(store.record()):
        if trial.status == "pruned":
            _last(store, trial.id).unlink(missing_ok=True)
    return cut_short


def _rerun_best(
    store: Store,
    proved: ProvedSearch,
    assignment: Assignment,
    slots: Slots,
    interrupted: threading.Event,
    allowance: Allowance,
) -> bool:
    """Train the best configs again, as the options say; whether the allowance cut that short."""
    from tuner.ray_backend.proposals import Proposal

    wanted, search = proved.config.reruns, replay(store.events())
    planned = plan_reruns(search, wanted, proved.config.top_k, assignment.data_seed)
    if not planned:
        return False
    write_rerun_splits(store.folder, planned, proved.data.rows, proved.data.labels, wanted)
    began = len(search.trials) + len(search.reruns)
    proposals = [
        Proposal(
            again.id,
            again.config,
            replace(assignment, splits=again.splits, data_seed=again.rerun.data_seed),
            {"number": number, "rerun": asdict(again.rerun)},
        )
        for number, again in enumerate(planned, start=began)
    ]
    return _run_listed(store, proved, proposals, "reruns", slots, interrupted, allowance)


def _run_listed(
    store: Store,
    proved: ProvedSearch,
    proposals: Sequence[Proposal],
    folder: str,
    slots: Slots,
    interrupted: threading.Event,
    allowance: Allowance,
) -> bool:
    """Run trials that are known beforehand, to their end; whether the allowance cut that short."""
    from tuner.ray_backend.driver import Driver
    from tuner.ray_backend.halving.protocol import NoHalving
    from tuner.ray_backend.proposals import ListedTrials
    from tuner.ray_backend.tune_loop import run_trials

    driver = Driver(store, ListedTrials(proposals), NoHalving(), allowance=allowance, weights_sha256=_sha256s(proved))
    run_trials(driver, slots, store.ray / folder, interrupted)
    return driver.cut_short


def _sha256s(proved: ProvedSearch) -> dict[str, str]:
    return {name: weights.sha256 for name, weights in proved.weights.items()}


def _start_facts(proved: ProvedSearch) -> dict[str, Any]:
    config, space = proved.config, proved.space
    return {
        "name": config.name,
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
        "labels": list(proved.data.labels),
        "data": _data_facts(proved),
        "seed": config.seed,
        "threads": config.resources.threads_per_trial,
        "versions": versions(),
        "git": git_commit(),
        "precision": "fp32",
        "baseline": space.baseline_config().model_dump(mode="json"),
        "limits": space.limits.model_dump(exclude_none=True),
        "never_trained": proved.feasible.never,
    }


def _assignment(store: Store, proved: ProvedSearch) -> Assignment:
    from tuner.ray_backend.worker import Assignment

    scheduler = proved.space.scheduler
    return Assignment(
        folder=str(store.folder.absolute()),
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
    )


@contextmanager
def _followed(store: Store, proved: ProvedSearch, gatherer: Gatherer, listeners: Iterable[Listener]) -> Iterator[None]:
    """Whoever follows the log hears of each event: tables and YAML files, study.db, and the listeners."""
    from tuner.ray_backend.study import StudyMirror

    kept = ("paused", "pruned") if proved.config.audit else ("paused",)

    def drop_last(event: Event) -> None:
        if event["kind"] == "trial_ended" and event["status"] not in kept:
            # with the optimiser's state it is the largest file of a trial, and only a trial that goes on needs it
            _last(store, event["trial"]).unlink(missing_ok=True)

    writer, mirror = OutputWriter(store, proved.config.top_k, gatherer), StudyMirror(store.study_db, proved.space)
    writer.start()
    mirror.start()
    store.listeners += [writer.put, drop_last, mirror.put, *listeners]
    try:
        yield
    finally:
        store.listeners.clear()
        mirror.close()
        writer.close()


def _last(store: Store, trial: str) -> Path:
    """A trial's state after its last epoch."""
    return store.checkpoints(trial) / "last.pt"


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Whether Ctrl-C (or SIGTERM) has come. The first one ends the search in order, a second one at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def note(number: int, frame: Any) -> None:  # noqa: ARG001
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
