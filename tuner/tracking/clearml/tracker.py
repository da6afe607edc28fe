"""A search as ClearML shows it: what is there is compared with what should be, and only what differs is sent."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tuner.links import Links
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.store import Store
from tuner.tolerant import text
from tuner.tracking.clearml.budget import budget_left
from tuner.tracking.clearml.described import describe_search, describe_trial, long_enough, task_name
from tuner.tracking.clearml.events import Event, scalar_event
from tuner.tracking.clearml.files import show_files, show_models
from tuner.tracking.clearml.predicted import predicted_events
from tuner.tracking.clearml.server import RefusedError, Server
from tuner.tracking.clearml.summary import summary_events
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import Aborted, News, UnreachableError
from tuner.tracking.told import Outcome, final_values, outcome_of_search, outcome_of_trial, scalars, tags

SEARCH = "search"
"""what the search's own task is kept as, among those of trials, which are called otherwise"""
SUMMARY_SECONDS = 20.0
"""between two drawings of the search's plots while it runs"""
PING_SECONDS = 600.0
"""ClearML stops a task that has not been heard of for two hours"""
_SINGLE_VALUE = -(2**31)
"""the iteration of a number that belongs to a whole task, in ClearML's own notation"""
_ACTIONS = {"running": "started", "completed": "completed", "stopped": "stopped", "failed": "failed"}
"""how something stands -> the request that brings its task there"""
_UNHEARD = "non-responsive"
"""in the reason why ClearML itself has stopped a task"""
_AT_ONCE = 500
"""tasks in an answer"""


class ClearMLTracker:
    """A task for the search and one for each trial and rerun.

    The cursor keeps the tasks' ids, how they stand and their tags. What a killed process had not noted there is found
    again by the search's mark and by names: both are given in the request that makes a task.
    """

    def __init__(self, server: Server, store: Store, cursor: Cursor) -> None:
        self._server = server
        self._store = store
        self._kept = cursor.kept
        self._cursor = cursor
        self._kept.setdefault("mark", uuid.uuid4().hex[:12])
        for name in ("tasks", "stands", "tags", "unsent", "artifacts", "predicted", "models"):
            self._kept.setdefault(name, {})
        self._kept.setdefault("top", [])
        self._cursor.save()  # the mark, before anything has it
        self._in_doubt = True
        """whether there may be tasks that the cursor does not know"""
        self._summed_up = self._pinged = float("-inf")

    def show(self, search: SearchRecord, news: News) -> None:
        with self._noticing_deleted():
            self._adopt(search)
            self._require_search_task(search)
            changed = news.of(search)
            events: list[Event] = []
            for trial, epochs in changed:
                self._require_trial_task(search, trial)
                events += self._events_of(search, trial, epochs)
            self._server.add_events(events)
            for trial, _ in changed:
                self._kept["unsent"].pop(trial.id, None)
                self._bring(trial.id, outcome_of_trial(search, trial))
                self._retag(trial.id, tags(search, trial, is_top=trial.id in self._kept["top"]))
            self._sum_up(search)
            self._bring(SEARCH, outcome_of_search(search))
            self._link()

    def finish(self, search: SearchRecord) -> None:
        if SEARCH not in self._tasks:  # it ended before it began
            return
        with self._noticing_deleted():
            self._kept["top"] = [trial.id for trial in search.top]
            for trial in search.trials:
                if trial.id in self._tasks:
                    self._retag(trial.id, tags(search, trial, is_top=trial in search.top))
            show_files(self._server, self._store, self._kept, self._tasks[SEARCH])
            self._show_predicted(search)
            show_models(self._server, self._store, self._kept, search, search.top)

    def aborted(self) -> Aborted:
        names = {self._tasks[name]: name for name, told in self._kept["stands"].items() if told[0] == "running"}
        self._ping(names)
        found: set[str] = set()
        for task in self._listed(id=list(names), only_fields=["status", "status_message", "status_reason"]):
            name, told = names[str(task["id"])], f"{text(task.get('status_message'))} {text(task.get('status_reason'))}"
            if task.get("status") == "stopped" and _UNHEARD in told:
                self._kept["stands"].pop(name)
                self._bring(name, Outcome("running"))
            elif task.get("status") == "stopped" or text(task.get("status_message")) == "stopping":
                found.add(name)
        return Aborted(SEARCH in found, frozenset(found - {SEARCH}))

    def close(self) -> None:
        """There is nothing to let go of."""

    @property
    def _tasks(self) -> dict[str, str]:
        """Their ids."""
        tasks: dict[str, str] = self._kept["tasks"]
        return tasks

    @contextmanager
    def _noticing_deleted(self) -> Iterator[None]:
        """Whatever goes wrong, look later what is there; where people have deleted tasks, these are made again."""
        try:
            yield
        except UnreachableError:
            self._in_doubt = True
            raise
        except RefusedError as error:
            self._in_doubt = True
            there = {task["id"] for task in self._listed(id=list(self._tasks.values()), only_fields=["id"])}
            gone = [name for name, id in self._tasks.items() if id not in there]
            for name in gone:
                for kept in ("tasks", "stands", "tags", "predicted", "models"):
                    self._kept[kept].pop(name, None)
            if not gone:
                raise
            raise UnreachableError(f"tasks were deleted and are made again: {', '.join(gone)} ({error})") from None

    def _adopt(self, search: SearchRecord) -> None:
        """Find tasks again that were made and not noted."""
        if not self._in_doubt:
            return
        if SEARCH not in self._tasks:
            wanted = {"type": ["optimizer"], "tags": [f"search:{search.name}"]}
            for task in self._listed(**wanted, only_fields=["id", "project", "comment"]):
                if self._kept["mark"] in text(task.get("comment")):
                    self._tasks[SEARCH], self._kept["project"] = str(task["id"]), str(task["project"])
        if SEARCH in self._tasks:
            names = {task_name(trial): trial.id for trial in (*search.trials, *search.reruns)}
            for task in self._listed(parent=[self._tasks[SEARCH]], only_fields=["id", "name"]):
                name = names.get(str(task["name"]))
                if name and name not in self._tasks:
                    self._tasks[name] = str(task["id"])
                    self._kept["unsent"][name] = True
        self._in_doubt = False

    def _listed(self, **wanted: Any) -> Iterator[Mapping[str, Any]]:
        """The tasks that are like this; none for no ids."""
        if wanted.get("id") == []:
            return
        page = 0
        while True:
            tasks = self._server.ask("tasks.get_all", **wanted, page=page, page_size=_AT_ONCE).get("tasks") or []
            yield from tasks
            if len(tasks) < _AT_ONCE:
                return
            page += 1

    def _require_search_task(self, search: SearchRecord) -> None:
        if SEARCH in self._tasks:
            return
        if "project" not in self._kept:
            self._kept["project"] = self._project_of(search)
        described = describe_search(search, self._store, self._kept["mark"])
        made = self._server.ask("tasks.create", project=self._kept["project"], **described)
        self._tasks[SEARCH] = str(made["id"])
        for name, id in self._tasks.items():  # where people have deleted their parent
            if name != SEARCH:
                self._server.ask("tasks.edit", task=id, force=True, parent=self._tasks[SEARCH])

    def _project_of(self, search: SearchRecord) -> str:
        name = "/".join((os.environ.get("THAW_CLEARML_PROJECT") or "Thaw", long_enough(search.name)))
        found = self._server.ask("projects.get_all", name=f"^{re.escape(name)}$", only_fields=["id"]).get("projects")
        if found:
            return str(found[0]["id"])
        return str(self._server.ask("projects.create", name=name, description=search.about)["id"])

    def _require_trial_task(self, search: SearchRecord, trial: TrialRecord) -> None:
        if trial.id in self._tasks:
            return
        described = describe_trial(search, trial, self._kept["mark"])
        made = self._server.ask("tasks.create", project=self._kept["project"], parent=self._tasks[SEARCH], **described)
        self._tasks[trial.id] = str(made["id"])
        self._kept["tags"][trial.id] = described["tags"]
        self._kept["unsent"][trial.id] = True
        self._bring(trial.id, Outcome("running"))

    def _events_of(self, search: SearchRecord, trial: TrialRecord, epochs: Iterable[EpochRecord]) -> Iterator[Event]:
        """The scalars of new epochs, of all where the task is new, and what a trial that has ended came to."""
        task = self._tasks[trial.id]
        for epoch in trial.epochs if trial.id in self._kept["unsent"] else epochs:
            for told in scalars(epoch):
                yield scalar_event(task, told.title, told.series, told.value, epoch.step, _milliseconds(epoch.time))
        if trial.status != "running":
            for name, value in final_values(search, trial).items():
                yield scalar_event(task, "Summary", name, value, _SINGLE_VALUE, _milliseconds(trial.updated))

    def _bring(self, name: str, outcome: Outcome) -> None:
        """Have a task stand as this, unless it does."""
        wanted = [outcome.ending, outcome.reason, outcome.message]
        if self._kept["stands"].get(name) == wanted:
            return
        why = {"status_reason": outcome.reason or None, "status_message": outcome.message or None}
        self._server.ask(f"tasks.{_ACTIONS[outcome.ending]}", task=self._tasks[name], force=True, **why)
        self._kept["stands"][name] = wanted

    def _retag(self, name: str, wanted: list[str]) -> None:
        """Have a task have these tags, and those that people have given it."""
        given = self._kept["tags"].get(name, [])
        if given == wanted:
            return
        (task,) = self._listed(id=[self._tasks[name]], only_fields=["tags"])
        of_people = [tag for tag in task.get("tags") or [] if tag not in given and tag not in wanted]
        self._server.ask("tasks.edit", task=self._tasks[name], force=True, tags=[*wanted, *of_people])
        self._kept["tags"][name] = wanted

    def _sum_up(self, search: SearchRecord) -> None:
        now = time.monotonic()
        if search.status == "running" and now - self._summed_up < SUMMARY_SECONDS:
            return
        pages = {name: self._page(id) for name, id in self._tasks.items()}
        left = budget_left(self._store, search)
        self._server.add_events(summary_events(self._tasks[SEARCH], search, pages, left, int(time.time() * 1000)))
        self._summed_up = now

    def _show_predicted(self, search: SearchRecord) -> None:
        """Of the best trials and the baseline, what their predictions show."""
        shown = {trial.id: trial for trial in (*search.top, search.baseline) if trial and trial.id in self._tasks}
        now = int(time.time() * 1000)
        for trial in shown.values():
            told = [trial.best_epoch, bool(trial.test)]
            if self._kept["predicted"].get(trial.id) != told:
                events = predicted_events(self._store, search, trial, self._tasks[trial.id], now)
                self._server.add_events(events)
                self._kept["predicted"][trial.id] = told

    def _ping(self, tasks: Iterable[str]) -> None:
        if time.monotonic() - self._pinged < PING_SECONDS:
            return
        for task in tasks:
            self._server.ask("tasks.ping", task=task)
        self._pinged = time.monotonic()

    def _link(self) -> None:
        trials = {name: self._page(id) for name, id in self._tasks.items() if name != SEARCH}
        ids = {name: id for name, id in self._tasks.items() if name != SEARCH}
        compare = self._server.comparing(self._kept["project"])
        self._cursor.links = Links(self._page(self._tasks[SEARCH]), trials, compare, ids)

    def _page(self, task: str) -> str:
        return self._server.page(self._kept["project"], task)


def _milliseconds(time_utc: str) -> int:
    """Since 1970; now for a time that is missing."""
    try:
        return int(datetime.fromisoformat(time_utc).timestamp() * 1000)
    except ValueError:
        return int(time.time() * 1000)
