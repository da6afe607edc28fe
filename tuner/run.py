"""Prove a search, then run it: the story on one page."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trainable.errors import UserError
from trainable.precision import require_precision
from tuner.closing import write_report
from tuner.config import SearchConfig
from tuner.evidence.gathering import Gatherer
from tuner.proved import ProvedSearch, assignment_of, prove_search, start_facts, write_inputs
from tuner.report.writer import OutputWriter
from tuner.store import Event, Store

if TYPE_CHECKING:
    from tuner.ray_backend.allowance import Allowance
    from tuner.ray_backend.tune_loop import Slots

Listener = Callable[[Event], None]


def run_search(config: SearchConfig, *listeners: Listener) -> Store:
    """Prove, prepare and run a search; its results are in the store's folder, whatever ends it.

    Args:
        config: what to search
        listeners: called with every event, in order, after it is in the log

    Raises:
        UserError: a mistake in space, data or options, or a search of this name exists; nothing has been written.
        KeyboardInterrupt: Ctrl-C; all that finished is written and running trials are paused.
    """
    proved = prove_search(config)
    # Ray and torch take seconds to import: not before there is something to run
    from tuner.ray_backend.tune_loop import Slots, ray_session

    with ray_session(), _interruptible() as interrupted:  # in this order: Ray sets a SIGTERM handler of its own
        slots = Slots(config.resources)
        require_precision(config.precision, "cuda" if slots.gpus else "cpu")
        allowance = _allowance(proved, slots)
        store = Store.create(config.results, config.name)
        with store.lock():
            write_inputs(store, proved)
            gatherer = Gatherer(store)
            with _followed(store, proved, gatherer, listeners):
                _run(store, proved, slots, allowance, interrupted)
            write_report(store, proved.space, config.top_k, gatherer)
    if interrupted.is_set():
        raise KeyboardInterrupt
    return store


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


def _run(store: Store, proved: ProvedSearch, slots: Slots, allowance: Allowance, interrupted: threading.Event) -> None:
    from tuner.phases import SearchPhases
    from tuner.ray_backend.tune_loop import run_phases

    store.append("search_started", **start_facts(proved))
    for cost in proved.feasible.costs:
        store.append("model_measured", **asdict(cost))
    for text in filter(None, (proved.space.notes, proved.config.notes, *proved.feasible.never, *proved.warm.notes)):
        store.append("note", text=text)
    for reference in proved.references:
        store.append("reference_scored", **asdict(reference))
    phases = SearchPhases(store, proved, assignment_of(store, proved), allowance)
    status, reason = "complete", ""
    try:
        run_phases(phases, slots, store.ray / "trials", interrupted)
        if interrupted.is_set():
            status, reason = "stopped", "interrupted"
        elif phases.cut_short:
            status, reason = "stopped", allowance.used_up
    except KeyboardInterrupt:
        status, reason = "stopped", "interrupted twice"
        raise
    except BaseException as error:
        status, reason = "failed", f"{type(error).__name__}: {error}"
        raise
    finally:
        store.append("search_ended", status=status, reason=reason)


@contextmanager
def _followed(store: Store, proved: ProvedSearch, gatherer: Gatherer, listeners: Iterable[Listener]) -> Iterator[None]:
    """Whoever follows the log hears of each event: tables and YAML files, study.db, and the listeners."""
    from tuner.ray_backend.study import StudyMirror

    kept = ("paused", "pruned") if proved.config.audit else ("paused",)

    def drop_last(event: Event) -> None:
        if event["kind"] == "trial_ended" and event["status"] not in kept:
            # with the optimiser's state it is the largest file of a trial, and only a trial that goes on needs it
            store.last_checkpoint(event["trial"]).unlink(missing_ok=True)

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
