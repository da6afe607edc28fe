"""MLflow: a run for the search and within it one for each trial, on a server or in a database in the search's folder.

What comes again changes nothing: MLflow keeps a number once for the same name, step, time and value, and runs are found
again by the search's mark.
"""

from __future__ import annotations

import importlib.util
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from tuner.links import FOLDER, Links
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.spending import told_at
from tuner.store import Store
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import Aborted, News, Tracker, TrackerKind, UnreachableError
from tuner.tracking.told import Outcome, final_values, hyperparameters, outcome_of_search, outcome_of_trial, scalars

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

SEARCH = "search"
"""what the search's own run is kept as, among those of trials"""
ARTIFACTS = ("leaderboard.md", "leaderboard.csv", "conclusions.md", "best.yaml", "report.html")
INSTALL = "pip install 'thaw-tuner[mlflow]'"
_URI, _EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "GIT_PYTHON_REFRESH": "quiet",
}
_STATUSES = {"running": "RUNNING", "completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_METRICS_AT_ONCE = 1000
_TEXT_CHARACTERS = 5000
_REACH_SECONDS = 4.0


class MLflowTracker:
    """The cursor keeps the runs' ids and how they stand; a run that was made and not noted there is found again."""

    def __init__(self, client: MlflowClient, store: Store, cursor: Cursor, artifacts: str | None) -> None:
        """
        Args:
            artifacts: where files of a new experiment are put; None: where the server says
        """
        self._client = client
        self._store = store
        self._cursor = cursor
        self._artifacts = artifacts
        self._kept = cursor.kept
        self._kept.setdefault("mark", uuid.uuid4().hex[:12])
        self._kept.setdefault("runs", {})
        self._kept.setdefault("stands", {})
        cursor.save()  # the mark, before anything has it
        self._unsure: set[str] = set()
        """trials of which nothing, or who knows what, is shown"""
        self._is_first = True

    def show(self, search: SearchRecord, news: News) -> None:
        with _telling_what_failed():
            if self._is_first:
                self._adopt()
                self._is_first = False
            self._require_run(SEARCH, search.name, search.started, _search_tags(search))
            for trial, epochs in news.of(search):
                self._show_trial(search, trial, epochs)
            latest = max((trial.updated for trial in (*search.trials, *search.reruns)), default=search.started)
            self._bring(SEARCH, outcome_of_search(search), latest)
            self._link()

    def finish(self, search: SearchRecord) -> None:  # noqa: ARG002
        run = self._runs.get(SEARCH)
        if run is None:  # it ended before it began
            return
        with _telling_what_failed():
            for name in ARTIFACTS:
                if (self._store.folder / name).exists():
                    self._client.log_artifact(run, str(self._store.folder / name))

    def aborted(self) -> Aborted:
        return Aborted()  # MLflow has no button for it

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def _runs(self) -> dict[str, str]:
        runs: dict[str, str] = self._kept["runs"]
        return runs

    def _experiment(self) -> str:
        if "experiment" not in self._kept:
            name = os.environ.get(_EXPERIMENT) or "Thaw"
            found = self._client.get_experiment_by_name(name)
            made = found.experiment_id if found else self._client.create_experiment(name, self._artifacts)
            self._kept["experiment"] = made
        return str(self._kept["experiment"])

    def _adopt(self) -> None:
        """Find runs again that were made and not noted."""
        token, mark = None, self._kept["mark"]
        while True:
            found = self._client.search_runs([self._experiment()], f"tags.`thaw.mark` = '{mark}'", page_token=token)
            for run in found:
                name = run.data.tags["thaw.trial"]
                if name not in self._runs:
                    self._runs[name] = run.info.run_id
                    self._unsure.add(name)
            token = found.token
            if not token:
                return

    def _require_run(self, name: str, shown: str, began: str, tags: Mapping[str, str]) -> None:
        if name in self._runs:
            return
        own = {"thaw.mark": self._kept["mark"], "thaw.trial": name}
        parent = {} if name == SEARCH else {"mlflow.parentRunId": self._runs[SEARCH]}
        made = self._client.create_run(
            self._experiment(), start_time=_milliseconds(began), tags={**tags, **own, **parent}, run_name=shown
        )
        self._runs[name] = made.info.run_id
        self._unsure.add(name)

    def _show_trial(self, search: SearchRecord, trial: TrialRecord, epochs: Iterable[EpochRecord]) -> None:
        from mlflow.entities import Param

        began = trial.epochs[0].time if trial.epochs else trial.updated
        self._require_run(trial.id, f"{trial.id}-{trial.config.get('backbone')}", began, _trial_tags(search, trial))
        run = self._runs[trial.id]
        if trial.id in self._unsure:
            settings = hyperparameters(trial).items()
            self._client.log_batch(run, params=[Param(path, text[:_TEXT_CHARACTERS]) for path, text in settings])
        metrics = list(_metrics(search, trial, trial.epochs if trial.id in self._unsure else epochs))
        for start in range(0, len(metrics), _METRICS_AT_ONCE):
            self._client.log_batch(run, metrics=metrics[start : start + _METRICS_AT_ONCE])
        self._bring(trial.id, outcome_of_trial(search, trial), trial.updated)
        self._unsure.discard(trial.id)

    def _bring(self, name: str, outcome: Outcome, ended: str) -> None:
        """Have a run stand as this, unless it does."""
        wanted = [outcome.ending, outcome.message]
        if self._kept["stands"].get(name) == wanted:
            return
        status, run = _STATUSES[outcome.ending], self._runs[name]
        if outcome.ending == "running":
            self._client.update_run(run, status=status)
        else:
            self._client.set_terminated(run, status, _milliseconds(ended))
        self._client.set_tag(run, "mlflow.note.content", outcome.message[:_TEXT_CHARACTERS])
        self._kept["stands"][name] = wanted

    def _link(self) -> None:
        base, experiment = _web(os.environ.get(_URI, "")), self._experiment()
        if not base:
            return
        pages = {name: f"{base}/#/experiments/{experiment}/runs/{run}" for name, run in self._runs.items()}
        compare = f"{base}/#/compare-runs?runs=[{{ids}}]&experiments=[{_quoted(experiment)}]"
        ids = {name: _quoted(run) for name, run in self._runs.items() if name != SEARCH}
        self._cursor.links = Links(pages.pop(SEARCH), pages, compare, ids)


def _metrics(search: SearchRecord, trial: TrialRecord, epochs: Iterable[EpochRecord]) -> Iterator[Metric]:
    """The numbers of epochs, and what a trial that has ended came to."""
    from mlflow.entities import Metric

    for epoch in epochs:
        for told in scalars(epoch):
            yield Metric(_name(f"{told.title}/{told.series}"), told.value, _milliseconds(epoch.time), epoch.step)
    if trial.status not in ("running", "waiting"):
        # not when the trial was last told of: the same value at another time is another point of a curve
        at = _milliseconds(trial.epochs[-1].time if trial.epochs else trial.updated)
        for name, value in final_values(search, trial).items():
            yield Metric(_name(f"Summary/{name}"), value, at, 0)


def _search_tags(search: SearchRecord) -> dict[str, str]:
    return {"thaw.search": search.name, "thaw.space": search.space, "thaw.objective": search.metric}


def _trial_tags(search: SearchRecord, trial: TrialRecord) -> dict[str, str]:
    of_rerun = {"thaw.rerun": trial.rerun.kind, "thaw.rerun_of": trial.rerun.of} if trial.rerun else {}
    return {**_search_tags(search), "thaw.baseline": str(trial.baseline).lower(), **of_rerun}


def _name(told: str) -> str:
    """With the characters that MLflow allows in names."""
    return re.sub(r"[^\w\-./ :]", "_", told)


def _milliseconds(time: str) -> int:
    """Since 1970; 0 for a time that is missing."""
    return round(1000 * (told_at({"time": time}) or 0))


@contextmanager
def _telling_what_failed() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors
        lines = str(error).splitlines() or [type(error).__name__]
        raise UnreachableError(_without_password(lines[0])) from None


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)


def _quoted(id: str) -> str:
    """In quotation marks, as an address has them."""
    return quote(f'"{id}"')


def _web(uri: str) -> str:
    """A server's address; empty for what is none."""
    return _without_password(uri).rstrip("/") if urlsplit(uri).scheme in ("http", "https") else ""


def _reach() -> str:
    import urllib.error
    import urllib.request

    if importlib.util.find_spec("mlflow") is None:
        raise UnreachableError(f"it is not installed; {INSTALL}")
    base = _web(os.environ.get(_URI, ""))
    if base:
        try:
            urllib.request.urlopen(f"{base}/health", timeout=_REACH_SECONDS).close()
        except urllib.error.HTTPError:  # it answers, if only to ask who that is
            pass
        except OSError as error:
            raise UnreachableError(f"{base}: {error}") from None
    return base


def _open(store: Store, cursor: Cursor) -> Tracker:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    folder = store.folder.absolute() / FOLDER
    given = os.environ.get(_URI)
    uri = given or f"sqlite:///{folder}/mlflow.db"
    with _telling_what_failed():
        return MLflowTracker(MlflowClient(uri), store, cursor, None if given else (folder / "mlflow").as_uri())


MLFLOW = TrackerKind(
    name="mlflow",
    shown="MLflow",
    is_configured=lambda: bool(os.environ.get(_URI)),
    hint="",
    reach=_reach,
    open=_open,
)
