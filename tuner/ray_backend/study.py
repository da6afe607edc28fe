"""study.db: the event log mirrored into SQLite for optuna-dashboard.

The mirror is derived: it may be deleted at any time and `rebuild_study` makes it again. Nothing is read back from it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces.space import Space
from tuner.ray_backend.domain import Domain, state_of
from tuner.ray_backend.sampler import quiet_optuna
from tuner.records import SearchRecord, TrialRecord
from tuner.replay import Replay
from tuner.tolerant import text

_FAILURES_IN_A_ROW = 5

_log = logging.getLogger(__name__)


def mirror(events: Iterable[Mapping[str, Any]], storage_url: str, space: Space) -> None:
    """Bring the study of a search in line with its whole event log; doing it again changes nothing.

    Args:
        storage_url: an SQLAlchemy URL that Optuna accepts.

    Raises:
        optuna.exceptions.StorageInternalError: the database is locked or cannot be written.
    """
    history = _History()
    for event in events:
        history.add(event)
    record = history.replay.record()
    rows = _Rows(storage_url, record, Domain(space))
    try:
        rows.write(history, {trial.id for trial in record.trials})
    finally:
        rows.close()


def rebuild_study(path: Path, events: Iterable[Mapping[str, Any]], space: Space) -> None:
    """Delete study.db and make it anew from the whole event log. A dashboard that has it open must be restarted.

    Raises:
        OSError: the file cannot be deleted.
        optuna.exceptions.StorageInternalError: it cannot be written.
    """
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    mirror(events, sqlite_url(path), space)


class StudyMirror:
    """Writes study.db while a search runs, from a thread of its own.

    Give it the whole log: on resume the past events first. A locked or broken database never disturbs the search: it
    is logged, tried again with the next events, and given up after a few failures in a row.
    """

    def __init__(self, path: Path, space: Space, *, seconds_between_writes: float = 1.0) -> None:
        self._path = path
        self._domain = Domain(space)
        self._seconds = seconds_between_writes
        self._events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._given_up = False
        self._history = _History()
        self._rows: _Rows | None = None
        self._thread = threading.Thread(target=self._run, name="study-mirror", daemon=True)

    def start(self) -> None:
        """Begin to write what is and will be put."""
        self._thread.start()

    def put(self, event: Mapping[str, Any]) -> None:
        """Hand over the log's next event; returns at once."""
        if not self._given_up:
            self._events.put(event)

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Write what was put so far and end the thread; what takes longer than the timeout is left unwritten."""
        self._closing.set()
        if self._thread.ident is None:
            return
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            _log.warning("%s: not all of the search was mirrored in %g s", self._path, timeout_seconds)

    def _run(self) -> None:
        touched: set[str] = set()
        failures = 0
        closing = False
        while not closing and not self._given_up:
            closing = self._closing.wait(self._seconds)
            try:
                self._take(touched)
                self._write(touched)
                failures = 0
            except Exception as error:  # a mirror must never disturb the search, whatever is wrong with it
                failures += 1
                self._given_up = failures == _FAILURES_IN_A_ROW
                self._close_rows()  # how much of it was written is unknown
                if failures == 1 or self._given_up:
                    outlook = "given up" if self._given_up else "will be tried again"
                    _log.warning("%s: %s; the search goes on: %s", self._path, outlook, _first_line(error))
        self._close_rows()

    def _take(self, touched: set[str]) -> None:
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            touched.update(self._history.add(event))

    def _write(self, touched: set[str]) -> None:
        if not touched:
            return
        if self._rows is None:
            self._rows = _Rows(sqlite_url(self._path), self._history.replay.record(), self._domain)
        self._rows.write(self._history, touched)
        touched.clear()

    def _close_rows(self) -> None:
        if self._rows is not None:
            self._rows.close()
            self._rows = None


class _History:
    """The log so far."""

    def __init__(self) -> None:
        self.replay = Replay()
        self.started: dict[str, str] = {}
        """trial -> UTC time at which it first started"""
        self.ended: dict[str, str] = {}
        """trial -> UTC time at which it last ended; it may be scored on test long after"""

    def add(self, event: Mapping[str, Any]) -> set[str]:
        """Take in an event; returns the trials whose rows it may change."""
        self.replay.add(event)
        if event.get("kind") in ("search_ended", "search_resumed"):
            return {trial.id for trial in self.replay.record().trials if trial.status == "paused"}
        trial = event.get("trial")
        if not isinstance(trial, str):
            return set()
        if event.get("kind") == "trial_started":
            self.started.setdefault(trial, text(event.get("time")))
        elif event.get("kind") == "trial_ended":
            self.ended[trial] = text(event.get("time"))
        return {trial}


class _Rows:
    """The trials of one study in a database, brought in line with the records.

    What is compared is states, not events, so a crash between two writes or an event that comes twice does no harm.
    """

    def __init__(self, storage_url: str, record: SearchRecord, domain: Domain) -> None:
        self._name = record.name or "search"
        self._metric = record.metric
        self._direction = StudyDirection.MINIMIZE if record.direction == "minimize" else StudyDirection.MAXIMIZE
        self._domain = domain
        self._storage = RDBStorage(storage_url)
        self._trials: dict[str, tuple[int, FrozenTrial]] = {}
        """trial id -> the row's id and what stands in it"""
        self._study = self._open()

    def close(self) -> None:
        """Let go of the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def write(self, history: _History, trials: Collection[str]) -> None:
        """Bring these trials' rows in line."""
        record = history.replay.record()
        if not all(self._write(trial, record, history) for trial in record.trials if trial.id in trials):
            self._study = self._empty(self._study)
            for trial in record.trials:
                self._write(trial, record, history)

    def _open(self) -> int:
        with quiet_optuna():
            for study in self._storage.get_all_studies():
                if study.study_name == self._name:
                    self._read(study._study_id)
                    fits = study.directions == [self._direction] and self._has_todays_axes()
                    return study._study_id if fits else self._empty(study._study_id)
            return self._create()

    def _create(self) -> int:
        study = self._storage.create_new_study([self._direction], self._name)
        self._storage.set_study_system_attr(study, "study:metric_names", [self._metric])  # as Optuna's set_metric_names
        return study

    def _read(self, study: int) -> None:
        for row in self._storage.get_all_trials(study):
            self._trials[row.user_attrs.get("trial", "")] = (row._trial_id, row)

    def _has_todays_axes(self) -> bool:
        """Optuna lets no parameter change its distribution within a study."""
        today = self._domain.distributions
        return all(
            today.get(path) == distribution
            for _, row in self._trials.values()
            for path, distribution in row.distributions.items()
        )

    def _empty(self, study: int) -> int:
        self._storage.delete_study(study)
        self._trials.clear()
        with quiet_optuna():
            return self._create()

    def _write(self, trial: TrialRecord, record: SearchRecord, history: _History) -> bool:
        """Bring a trial's row in line; False when only a new one could be: Optuna never lets a finished row change."""
        state, value = _outcome(trial, record)
        started, ended = history.started.get(trial.id, ""), history.ended.get(trial.id, "")
        wanted = _row(trial, state, value, started, ended, self._domain)
        if trial.id not in self._trials:
            self._trials[trial.id] = (self._storage.create_new_trial(self._study, wanted), wanted)
            return True
        id, found = self._trials[trial.id]
        if _facts(found) == _facts(wanted):
            return True
        took_back = found.intermediate_values.keys() - wanted.intermediate_values.keys()
        if found.state.is_finished() or found.params != wanted.params or took_back:
            return False
        for step, value in wanted.intermediate_values.items():
            if found.intermediate_values.get(step) != value:
                self._storage.set_trial_intermediate_value(id, step, value)
        for name, fact in wanted.user_attrs.items():
            if name not in found.user_attrs or found.user_attrs[name] != fact:
                self._storage.set_trial_user_attr(id, name, fact)
        if wanted.state.is_finished():
            self._storage.set_trial_state_values(id, wanted.state, wanted.values)
        self._trials[trial.id] = (id, wanted)
        return True


def _row(
    trial: TrialRecord, state: TrialState, value: float | None, started: str, ended: str, domain: Domain
) -> FrozenTrial:
    """What the study says of a trial; params that lie outside the axes, as a baseline's may, are user attributes."""
    params = domain.labels(trial.params)
    outside = {f"outside the axes: {path}": value for path, value in trial.params.items() if path not in params}
    return FrozenTrial(
        number=trial.number,
        trial_id=-1,  # the storage gives both
        state=state,
        value=value,
        datetime_start=_local_time(started),
        datetime_complete=_local_time(ended) if state.is_finished() else None,
        params=params,
        distributions={path: domain.distributions[path] for path in params},
        user_attrs={
            "trial": trial.id,
            "status": trial.status,
            "baseline": trial.baseline,
            "backbone": trial.config.get("backbone"),
            "epochs": trial.config.get("epochs"),
            "epochs_run": trial.epochs_run,
            "best_epoch": trial.best_epoch,
            "halted_at_rung": trial.halted_at,
            "seconds": trial.seconds,
            "error": trial.error,
        }
        | outside,
        system_attrs={},
        intermediate_values={epoch.step: epoch.value for epoch in trial.epochs if epoch.value is not None},
    )


def _outcome(trial: TrialRecord, search: SearchRecord) -> tuple[TrialState, float | None]:
    """State and value; a trial that diverged is pruned without a value: an infinite one would spoil the plots.

    A paused trial runs on while the search does: it may be promoted, and the study be made anew for it alone.
    """
    paused_for_now = trial.status == "paused" and search.status == "running"
    state, best = TrialState.RUNNING if paused_for_now else state_of(trial.status), trial.best_value
    if state is TrialState.COMPLETE:
        return (state, best) if best is not None else (TrialState.PRUNED, None)
    if state is TrialState.PRUNED:
        diverged = trial.error is not None or (bool(trial.epochs) and trial.epochs[-1].value is None)
        return state, None if diverged else best
    return state, None


def _facts(row: FrozenTrial) -> tuple[Any, ...]:
    return row.state, row.values, row.params, row.distributions, row.intermediate_values, row.user_attrs


def _local_time(time: str) -> datetime:
    """The log's UTC as Optuna stores times: local, without a zone; now for one that is missing."""
    try:
        return datetime.fromisoformat(time).astimezone().replace(tzinfo=None)
    except ValueError:
        return datetime.now()


def sqlite_url(path: Path) -> str:
    """A file as Optuna names a database."""
    # Optuna formats its URLs: a brace in a folder's name would be a placeholder.
    return f"sqlite:///{path.absolute()}".replace("{", "{{").replace("}", "}}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
