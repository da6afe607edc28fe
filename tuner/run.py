"""Prove a search, then run it: the story on one page."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.document import write_yaml
from search_spaces.space import Asha, Space
from trainable.data.splits import write_splits
from trainable.metrics import Objective
from trainable.weights import Weights
from tuner.config import SearchConfig
from tuner.preparation import PreparedData
from tuner.provenance import git_commit, versions
from tuner.proving import prove_all
from tuner.records import SearchRecord, replay
from tuner.report.best import write_outputs
from tuner.store import Event, Store, write_atomically

if TYPE_CHECKING:
    from tuner.ray_backend.tune_loop import Slots

Listener = Callable[[Event], None]


@dataclass(frozen=True)
class ProvedSearch:
    """A search of which nothing is left to be found wrong but training itself."""

    config: SearchConfig
    space: Space
    objective: Objective
    data: PreparedData
    weights: dict[str, Weights]

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
    Store.require_free(config.results, config.name)
    found = prove_all(config.space, config.data, download=not config.offline)
    assert found.data is not None  # data were given
    proved = ProvedSearch(config, found.space, found.objective, found.data, found.weights)
    # Ray and torch take seconds to import: not before there is something to run
    from tuner.ray_backend.tune_loop import Slots, ray_session

    with ray_session(), _interruptible() as interrupted:  # in this order: Ray sets a SIGTERM handler of its own
        slots = Slots(config.resources)
        store = Store.create(config.results, config.name)
        with store.lock():
            _write_inputs(store, proved)
            _run(store, proved, slots, [*listeners], interrupted)
    if interrupted.is_set():
        raise KeyboardInterrupt
    return store


def _write_inputs(store: Store, proved: ProvedSearch) -> None:
    write_splits(store.splits, proved.data.rows)
    write_atomically(store.search_yaml, resolved_yaml(proved))


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
        "sizes": dict(data.inspection.split_sizes),
        "data_seed": proved.config.data.data_seed,
        "left_out": data.left_out,
        "options": proved.config.data.model_dump(mode="json"),
    }


def _run(
    store: Store, proved: ProvedSearch, slots: Slots, listeners: list[Listener], interrupted: threading.Event
) -> None:
    from tuner.ray_backend.driver import Driver
    from tuner.ray_backend.study import StudyMirror
    from tuner.ray_backend.tune_loop import run_trials, score_trials_on_test

    config = proved.config
    mirror = StudyMirror(store.study_db, proved.space)
    outputs = _Outputs(store, config.top_k)
    hear = [outputs.hear, mirror.put, *listeners]

    def write(kind: str, trial: str | None = None, **fields: Any) -> None:
        event = store.append(kind, trial, **fields)
        for listener in hear:
            listener(event)

    mirror.start()
    write("search_started", **_start_facts(proved))
    hours = config.hours or proved.space.budget.hours
    status, reason = "failed", "the driver stopped on an error"
    try:
        driver = Driver(
            store,
            proved.space,
            proved.objective,
            _assignment(store, proved),
            trials=proved.trials,
            seed=config.seed,
            deadline=time.monotonic() + hours * 3600 if hours else None,
            weights_sha256={name: weights.sha256 for name, weights in proved.weights.items()},
            listeners=hear,
        )
        run_trials(driver, slots, store.ray, interrupted)
        if not interrupted.is_set() and "test" in proved.data.inspection.split_sizes:
            chosen = _to_score_on_test(replay(store.events()), config.top_k)
            for trial, test in score_trials_on_test(driver.assignment, slots, chosen, interrupted):
                if isinstance(test, str):
                    write("note", trial, text=f"not scored on test: {test}")
                else:
                    write("test_scored", trial, test=test, reads=1)
        if interrupted.is_set():
            status, reason = "stopped", "interrupted"
        elif driver.cut_short:
            status, reason = "stopped", f"{hours:g} hours are over"
        else:
            status, reason = "complete", ""
    except KeyboardInterrupt:
        status, reason = "stopped", "interrupted twice"
        raise
    except Exception as error:
        reason = f"{reason}: {type(error).__name__}: {error}".splitlines()[0]
        raise
    finally:
        write("search_ended", status=status, reason=reason)
        mirror.close()
        outputs.refresh()


def _start_facts(proved: ProvedSearch) -> dict[str, Any]:
    config, space = proved.config, proved.space
    return {
        "name": config.name,
        "space": space.name,
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
    }


def _assignment(store: Store, proved: ProvedSearch) -> Any:
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
        patience_from_epoch=scheduler.grace_epochs if isinstance(scheduler, Asha) else 0,
    )


def _to_score_on_test(search: SearchRecord, top_k: int) -> dict[str, Mapping[str, Any]]:
    """The best `top_k` and the baseline, each of which test is read for once."""
    best = [trial for trial in search.ranked() if trial.eligible][:top_k]
    baseline = [search.baseline] if search.baseline and search.baseline.eligible else []
    return {trial.id: trial.config for trial in (*best, *baseline) if not trial.test_reads}


class _Outputs:
    """Keeps the tables and YAML files up to date while events come in."""

    def __init__(self, store: Store, top_k: int) -> None:
        self._store = store
        self._top_k = top_k

    def hear(self, event: Event) -> None:
        if event["kind"] in ("trial_ended", "test_scored"):
            self.refresh()

    def refresh(self) -> None:
        write_outputs(self._store, replay(self._store.events()), self._top_k)


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


def load_results(name: str | Path, results: Path) -> SearchRecord:
    """The record of a search, running or ended.

    Raises:
        UserError: there is no such search.
    """
    return replay(Store.open(name, results).events())
