"""Weights & Biases: a run for each trial, in a group named after the search; on a server, or in files for `wandb sync`.

What comes again changes nothing: a server's run drops steps that it has, and the files of a run without a server are
made anew by each process that goes on with it, so that there is one set of them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tuner.links import FOLDER, Links
from tuner.records import SearchRecord, TrialRecord
from tuner.spending import told_at
from tuner.store import Store
from tuner.tolerant import flat
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import Aborted, News, Tracker, TrackerKind, UnreachableError
from tuner.tracking.told import final_values, outcome_of_search, outcome_of_trial, scalars, tags

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

FILES = ("leaderboard.md", "leaderboard.csv", "conclusions.md", "best.yaml", "report.html")
INSTALL = "pip install 'thaw-tuner[wandb]'"
_SERVER = "https://api.wandb.ai"
_SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "x_disable_meta": True,
    "x_disable_stats": True,  # they are this process's own
    "x_disable_machine_info": True,
    "init_timeout": 20.0,
}
_REACH_SECONDS = 4.0


class WandbTracker:
    """The cursor keeps which trials are through, and how they stood then: nothing more is told of those."""

    def __init__(self, store: Store, cursor: Cursor) -> None:
        self._store = store
        self._cursor = cursor
        self._kept = cursor.kept
        self._kept.setdefault("mark", uuid.uuid4().hex[:8])
        self._kept.setdefault("through", {})
        cursor.save()  # the mark, before anything has it
        self._open: dict[str, tuple[Run, int]] = {}
        """trial -> its run, and the step that it was told of last"""

    def show(self, search: SearchRecord, news: News) -> None:
        with _telling_what_failed():
            for trial, epochs in news.of(search):
                outcome = outcome_of_trial(search, trial)
                stands = [trial.status, trial.updated]
                if self._kept["through"].get(trial.id) == stands:
                    continue
                if trial.id not in self._open or (epochs and epochs[0].step <= self._open[trial.id][1]):
                    self._begin(search, trial)
                self._tell(trial)
                if outcome.ending != "running":
                    run, _ = self._open.pop(trial.id)
                    run.summary.update(final_values(search, trial) | {"status": trial.status, "why": outcome.message})
                    run.finish(exit_code=1 if outcome.ending == "failed" else 0)
                    self._kept["through"][trial.id] = stands

    def finish(self, search: SearchRecord) -> None:
        with _telling_what_failed():
            settings = {"space": search.space, "objective": search.metric, "direction": search.direction}
            run = self._run("search", search.name, settings, ["thaw", f"search:{search.name}"], search.about)
            best, outcome = search.best, outcome_of_search(search)
            run.summary.update({"trials": len(search.trials), "status": search.status, "why": outcome.message})
            if best:
                run.summary.update({"best": best.id, search.metric: best.best_value})
            for name in FILES:
                if (self._store.folder / name).exists():
                    run.save(self._store.folder / name, base_path=self._store.folder, policy="now")
            run.finish(exit_code=1 if search.status == "failed" else 0)

    def aborted(self) -> Aborted:
        return Aborted()

    def close(self) -> None:
        """Runs that are open are gone on with by another process."""

    def _begin(self, search: SearchRecord, trial: TrialRecord) -> None:
        """Open a trial's run, which then is told of all its epochs."""
        if trial.id in self._open:  # epochs are done again
            self._open.pop(trial.id)[0].finish()
        name = f"{trial.id}-{trial.config.get('backbone')}"
        given = tags(search, trial, is_top=False)
        self._open[trial.id] = self._run(trial.id, name, flat(trial.config), given), 0

    def _run(self, name: str, shown: str, config: dict[str, Any], given: list[str], notes: str = "") -> Run:
        import wandb

        id, offline = f"{self._kept['mark']}-{name}", _mode() == "offline"
        folder = self._store.folder / FOLDER
        for earlier in folder.glob(f"wandb/offline-run-*-{id}") if offline else ():
            shutil.rmtree(earlier)
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "thaw",
            group=self._store.name,
            job_type="search" if name == "search" else "trial",
            id=id,
            name=shown,
            notes=notes,
            tags=given,
            config=config,
            dir=folder,
            mode="offline" if offline else "online",
            resume=None if offline else "allow",
            reinit="create_new",
            settings=wandb.Settings(**_SETTINGS),
        )
        self._link(name, run)
        return run

    def _tell(self, trial: TrialRecord) -> None:
        run, last = self._open[trial.id]
        for epoch in trial.epochs:
            if epoch.step > last:
                numbers = {f"{told.title}/{told.series}": told.value for told in scalars(epoch)}
                seconds = told_at({"time": epoch.time})
                run.log(numbers | ({} if seconds is None else {"_timestamp": seconds}), step=epoch.step, commit=True)
                last = epoch.step
        self._open[trial.id] = run, last

    def _link(self, name: str, run: Run) -> None:
        if not run.url:
            return
        search = f"{run.project_url}/groups/{quote(self._store.name)}"
        trials = {**self._cursor.links.trials, **({} if name == "search" else {name: run.url})}
        self._cursor.links = Links(search, trials)


@contextmanager
def _telling_what_failed() -> Iterator[None]:
    import wandb

    try:
        yield
    except (wandb.Error, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise UnreachableError(lines[0]) from None


def _mode() -> str:
    """`offline` or `online`, as the environment says, or else by whether there is a key."""
    given = os.environ.get("WANDB_MODE", "")
    return given if given in ("offline", "online") else "online" if _has_key() else "offline"


def _has_key() -> bool:
    import netrc

    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc(os.environ.get("NETRC") or Path.home() / ".netrc").hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return urlsplit(_server()).hostname in hosts


def _server() -> str:
    return (os.environ.get("WANDB_BASE_URL") or _SERVER).rstrip("/")


def _is_configured() -> bool:
    return os.environ.get("WANDB_MODE") != "disabled" and (os.environ.get("WANDB_MODE") == "offline" or _has_key())


def _reach() -> str:
    import urllib.error
    import urllib.request

    if importlib.util.find_spec("wandb") is None:
        raise UnreachableError(f"it is not installed; {INSTALL}")
    if _mode() == "offline":
        return ""
    try:
        urllib.request.urlopen(f"{_server()}/healthz", timeout=_REACH_SECONDS).close()
    except urllib.error.HTTPError:  # it answers
        pass
    except OSError as error:
        raise UnreachableError(f"{_server()}: {error}") from None
    return _server()


def _open(store: Store, cursor: Cursor) -> Tracker:
    return WandbTracker(store, cursor)


WANDB = TrackerKind(
    name="wandb",
    shown="Weights & Biases",
    is_configured=_is_configured,
    hint="",
    reach=_reach,
    open=_open,
)
