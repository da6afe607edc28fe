"""Prove a search, then run it: the story on one page."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trainable.disk import is_disk_full, told_of_disk
from trainable.errors import UserError
from trainable.precision import require_precision
from tuner.closing import refresh_tables, write_report
from tuner.config import AS_BEFORE, Grant, SearchConfig
from tuner.disk_budget import DiskBudget, prove_room
from tuner.evidence.gathering import Gatherer
from tuner.extension import Extension
from tuner.interruption import Interruption, SearchFailedError, heeding_requests, withdraw_requests
from tuner.links import read_links
from tuner.notifications.delivery import Channel
from tuner.notifications.notifier import Notifier
from tuner.proved import ProvedSearch, assignment_of, prove_search, resolved_yaml, start_facts, write_inputs
from tuner.provenance import command
from tuner.ray_backend.address import Head, find_head
from tuner.report.writer import OutputWriter
from tuner.resumption import Resumption, prove_again
from tuner.retention import Retention
from tuner.same_failures import SameFailures, failed_alike
from tuner.spending import NOTHING_SPENT, Spent, time_spent
from tuner.storage.place import is_url
from tuner.store import Event, Store
from tuner.tracking.following import Tracking, started_trackers
from tuner.wording.language import marked

if TYPE_CHECKING:
    from tuner.phases import SearchPhases
    from tuner.ray_backend.allowance import Allowance
    from tuner.ray_backend.needs import Needs
    from tuner.ray_backend.slots import Slots

Listener = Callable[[Event], None]
Begin = Callable[[Store, ProvedSearch, Sequence[str]], None]
"""writes what a search's log says before its trials, and what people should know of its trackers"""


def run_search(config: SearchConfig, *listeners: Listener, address: str | None = None) -> Store:
    """Prove, prepare and run a search; its results are in the store's folder, whatever ends it.

    Args:
        config: what to search
        listeners: called with every event, in order, after it is in the log
        address: of the Ray cluster to run on, as `find_head`

    Raises:
        UserError: a mistake in address, space, data or options, or the name is taken; nothing has been written.
        UnreachableTrackerError: as `Tracking.require`; likewise.
        KeyboardInterrupt: Ctrl-C; all that finished is written and running trials are paused.
        SearchFailedError: nobody asked for its end: all trials fail alike, or a disk is full; likewise.
        OSError: the disk is so full that the log cannot tell how it ended, or the store that keeps the log does not
            answer; what the log has is kept.
    """
    head = find_head(address)
    with started_trackers(config.tracking) as tracking:
        proved = prove_search(config)
        tracking.require()
        opened = partial(Store.create, config.results, config.name)
        return _searched(proved, opened, _begin, listeners, NOTHING_SPENT, head, tracking)


def resume_search(
    store: Store,
    *listeners: Listener,
    accept_changes: bool = False,
    extension: Extension | None = None,
    limits: Grant = AS_BEFORE,
    notify: Sequence[Channel] = (),
    tracking: str | None = None,
    address: str | None = None,
) -> Store:
    """Go on with a search that was left before its end, however that happened, or beyond its end.

    Finished trials stay as they are, running ones go on from their last epoch, and the sampler and the scheduler are
    what they were: all that is in the log.

    Args:
        store: of the search
        listeners: called with every further event, in order, after it is in the log
        accept_changes: go on though space, data or code differ from what they were, and record how
        extension: what is to be tried beside what it was begun with
        limits: what it is granted from now on
        notify: as in its config, of which it was not kept
        tracking: as in its config, from now on; None: as it was
        address: as `run_search`

    Raises:
        UserError: as `find_head` and `prove_again`, or another process runs it.
        KeyboardInterrupt, SearchFailedError: as `run_search`.
    """
    head = find_head(address)
    with store.lock():
        withdraw_requests(store)
        given: dict[str, Any] = {"extension": extension, "limits": limits, "notify": notify, "tracking": tracking}
        again = prove_again(store, accept_changes=accept_changes, **given)
        spent = replace(time_spent(store.events()), **dict.fromkeys(again.granted, 0.0))
        with started_trackers(again.proved.config.tracking) as trackers:
            trackers.require()
            begin = partial(_go_on, again=again)
            return _searched(again.proved, lambda: store, begin, listeners, spent, head, trackers)


def _searched(
    proved: ProvedSearch,
    opened: Callable[[], Store],
    begin: Begin,
    listeners: Iterable[Listener],
    spent: Spent,
    head: Head | None,
    tracking: Tracking,
) -> Store:
    """Run what is proved, in the folder that is there once there is something to run it on."""
    # Ray and torch take seconds to import: not before there is something to run
    from tuner.phases import SearchPhases
    from tuner.ray_backend.capacity import growing_cluster
    from tuner.ray_backend.session import ray_session
    from tuner.ray_backend.slots import Slots

    config = proved.config
    # the lock outlives Ray, so that a search that nobody holds has no process left; and in this order, since Ray sets a
    # SIGTERM handler of its own
    with ExitStack() as held, ray_session(head) as joined, _interruptible() as interrupted:
        slots = Slots(config.resources, growing_cluster() if joined else None)
        require_precision(config.precision, "cuda" if slots.gpus else "cpu")
        allowance = _allowance(proved, slots, spent)
        prove_room(proved, slots.workers)
        needs = _prove_nodes(proved, slots) if joined else None
        store = opened()
        held.enter_context(store.lock())
        gatherer, failures = Gatherer(store), SameFailures(config.max_same_failures, interrupted)
        notifier = Notifier(store, config.notify, lambda: allowance.nearly_used_up)
        held.callback(notifier.end, gatherer)
        followers = [failures.put, *listeners, notifier.put]
        with (
            heeding_requests(store, interrupted) as asked,
            _followed(store, proved, gatherer, allowance, followers),
        ):
            begin(store, proved, tracking.remarks(config.name))
            tracking.follow(store)
            slots.keep_to(lambda: asked.most_trials)
            assignment = assignment_of(store, proved, needs)
            phases = SearchPhases(store, proved, assignment, allowance, asked.aborted.__contains__)
            _run(store, phases, slots, allowance, interrupted, notifier)
        _report(store, proved, gatherer, interrupted)
        links = read_links(store.folder)
        tracking.finish()
        if read_links(store.folder) != links:  # a tracker had fallen behind
            with suppress(OSError):
                refresh_tables(store, config.top_k, gatherer)
    if interrupted.unasked:
        raise SearchFailedError(interrupted.reason)
    if interrupted.is_set():
        raise KeyboardInterrupt
    return store


def _begin(store: Store, proved: ProvedSearch, tracking: Sequence[str]) -> None:
    """Write what a search is, and say so in its log."""
    write_inputs(store, proved)
    store.append("search_started", **start_facts(proved), tracking=tracking)
    for cost in proved.feasible.costs:
        store.append("model_measured", **asdict(cost))
    for text in filter(None, (proved.space.notes, proved.config.notes, *proved.feasible.never, *proved.warm.notes)):
        store.append("note", text=text)
    for reference in proved.references:
        store.append("reference_scored", **asdict(reference))


def _go_on(store: Store, proved: ProvedSearch, tracking: Sequence[str], again: Resumption) -> None:
    """Say in a search's log that it goes on, what has changed since, and what is added."""
    if all(event["kind"] != "search_started" for event in store.events()):  # killed in between
        _begin(store, proved, tracking)
        return
    told: dict[str, Any] = {"trials": proved.trials, "changes": list(again.changes), "granted": again.granted}
    told["tracking"] = tracking
    told["command"] = command()
    if again.extended:
        told |= {"extended": again.extended, "axes": list(proved.space.axes), "space": proved.space.name}
        told["children"] = [asdict(child) for child in again.children]
    if again.changes or again.extended or again.limits.given or again.tracking:
        told |= {"resolved": resolved_yaml(proved), "data_hash": proved.data.hash}
    if failed := failed_alike(store.events(), proved.config.max_same_failures):
        told["again"] = failed
    store.append("search_resumed", **told)
    for change in again.changes:
        store.append("note", text=f"resumed with a change: {change}")
    write_inputs(store, proved)  # after the log, which alone says what is true


def _allowance(proved: ProvedSearch, slots: Slots, spent: Spent) -> Allowance:
    """How long the search may take, and what it has taken of that.

    Raises:
        UserError: GPU time is limited where trials have no GPU.
    """
    from tuner.ray_backend.allowance import Allowance

    hours = proved.config.hours or proved.space.budget.hours
    gpu_hours = proved.config.gpu_hours or proved.space.budget.gpu_hours
    if gpu_hours and not slots.gpus:
        raise UserError(f"gpu_hours {gpu_hours:g}: no trial has a GPU here; limit the time with --hours")
    return Allowance(hours, gpu_hours, slots.gpus_of, spent)


def _prove_nodes(proved: ProvedSearch, slots: Slots) -> Needs:
    """What nodes need that join a cluster's others, which have it.

    Raises:
        UserError: what they lack.
    """
    from tuner.ray_backend.needs import Needs
    from tuner.ray_backend.proved_nodes import prove_nodes

    weights = tuple(str(found.path) for found in proved.weights.values())
    image, results = proved.data.root / proved.data.rows[0].image, proved.config.results
    where = str(results) if is_url(results) else str(Path(results).absolute())
    needs = Needs.of_driver(image, weights, where)
    prove_nodes(slots.holding, needs, more_may_start=slots.may_grow)
    return needs


def _run(
    store: Store,
    phases: SearchPhases,
    slots: Slots,
    allowance: Allowance,
    interrupted: Interruption,
    notifier: Notifier,
) -> None:
    from tuner.ray_backend.tune_loop import run_phases
    from tuner.ray_backend.vigil import watching_ray

    status, reason = "complete", ""
    try:
        with watching_ray(interrupted, partial(_end_at_once, store, notifier)):
            if not interrupted.is_set():
                run_phases(phases, slots, _new_folder(store.ray, "trials"), interrupted, note=partial(_note, store))
        if interrupted.is_set():
            status, reason = "failed" if interrupted.failed else "stopped", interrupted.reason
        elif phases.cut_short:
            status, reason = "stopped", allowance.used_up
    except KeyboardInterrupt:
        status, reason = "stopped", marked("interrupted twice")
        raise
    except BaseException as error:
        if not is_disk_full(error):
            status, reason = "failed", f"{type(error).__name__}: {error}"
            raise
        interrupted.hold("the disk is full: the log could not be written; free some")
        status, reason = "stopped", interrupted.reason
    finally:
        store.append("search_ended", status=status, reason=reason, ray_is_gone=interrupted.ray_is_gone)


def _report(store: Store, proved: ProvedSearch, gatherer: Gatherer, interrupted: Interruption) -> None:
    """Write all that is told of a search at its end; what a full disk keeps from being written, `resume` writes."""
    try:
        write_report(store, proved.space, proved.config.top_k, gatherer)
    except OSError as error:
        if not is_disk_full(error):
            raise
        interrupted.hold(f"the disk is full: tables and conclusions are not up to date ({told_of_disk(error)})")
        with suppress(OSError):
            store.append("note", text=interrupted.reason)


def _end_at_once(store: Store, notifier: Notifier, reason: str) -> NoReturn:
    """End a search whose loop hangs without Ray, and its process; tables stay as they were last written."""
    store.append("search_ended", status="failed", reason=reason, ray_is_gone=True)
    notifier.end()
    print(f"error: {reason}; `tuner resume {store.name}` goes on", file=sys.stderr, flush=True)
    os._exit(1)


def _note(store: Store, text: str) -> None:
    store.append("note", text=text)


def _new_folder(parent: Path, name: str) -> Path:
    """One that is not there yet: `trials`, `trials-2`, ..."""
    names = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(parent / free for free in names if not (parent / free).exists())


@contextmanager
def _followed(
    store: Store, proved: ProvedSearch, gatherer: Gatherer, allowance: Allowance, listeners: Iterable[Listener]
) -> Iterator[None]:
    """Whoever follows the log hears of each event: tables, YAML files, checkpoints, study.db, and the listeners."""
    from tuner.ray_backend.study import StudyMirror

    config = proved.config
    writer, mirror = OutputWriter(store, config.top_k, gatherer), StudyMirror(store.study_db, proved.space)
    past = list(store.events())  # of earlier runs
    retention = Retention(store, past, config.top_k, config.audit)
    budget = DiskBudget(store, retention, config.disk_gib)
    allowance.keep_to(budget.used_up)
    for event in past:
        writer.put(event)
        mirror.put(event)
    writer.start()
    mirror.start()
    store.listeners += [writer.put, retention.put, budget.put, mirror.put, *listeners]
    try:
        yield
    finally:
        store.listeners.clear()
        mirror.close()
        with suppress(OSError):  # the report, which comes next, has all of that again
            writer.close()


@contextmanager
def _interruptible() -> Iterator[Interruption]:
    """Whether Ctrl-C (or SIGTERM) has come. The first one ends the search in order, a second one at once."""
    interrupted = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def note(number: int, frame: Any) -> None:  # noqa: ARG001
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.interrupt(marked("interrupted"))

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
