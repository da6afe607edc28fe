"""What a running search shows: one live table in a terminal, a plain line for each finished trial elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tuner.records import SearchRecord, TrialRecord
from tuner.replay import Replay
from tuner.report import table
from tuner.spending import Elapsed, seconds_left
from tuner.store import Event

SHOWN_ROWS = 12
SHOWN_WARNINGS = 1


class Progress(Protocol):
    """Hears every event of a search."""

    def hear(self, event: Event) -> None: ...

    def recall(self, event: Event) -> None:
        """Take in an event of an earlier run of the search, which is not told again."""


@contextmanager
def live_progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress as the stream (stdout) can show it."""
    out = stream or sys.stdout
    if out.isatty():
        watched = _LiveTable()
        with Live(get_renderable=watched.render, console=Console(file=out), refresh_per_second=2):
            yield watched
    else:
        yield PlainLines(out)


class _Watched:
    """A search as its events tell of it, with the time it has taken."""

    def __init__(self) -> None:
        self._replay = Replay()
        self._elapsed = Elapsed()
        self._taking = threading.Lock()
        """a live table is drawn by a thread of its own"""

    def take(self, event: Event) -> None:
        with self._taking:
            self._replay.add(event)
            self._elapsed.add(event)

    recall = take

    @property
    def record(self) -> SearchRecord:
        with self._taking:
            return self._replay.record()

    def standing(self, search: SearchRecord) -> str:
        """Counts, best so far and how long it may still take, in a line."""
        by_status: dict[str, int] = {}
        for trial in search.trials:
            by_status[trial.status] = by_status.get(trial.status, 0) + 1
        ended = len(search.trials) - by_status.get("running", 0)
        counts = [f"{ended}/{search.budget} trials"]
        counts += [f"{count} {status}" for status, count in sorted(by_status.items())]
        if best := search.best:
            counts.append(f"best {search.metric} {table.metric(best.best_value)} ({best.id})")
        if search.reruns:
            done = sum(again.status != "running" for again in search.reruns)
            counts.append(f"{done} of {len(search.reruns)} reruns begun are done")
        if features := table.features(search.features):
            counts.append(f"features: {features}")
        left = seconds_left(search, self._elapsed.seconds)
        if left is not None:
            counts.append(f"about {duration(left)} left")
        return ", ".join(counts)


class PlainLines(_Watched):
    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out

    def hear(self, event: Event) -> None:
        self.take(event)
        if event["kind"] == "search_started":
            sizes = ", ".join(f"{split} {count}" for split, count in event["data"]["sizes"].items())
            objective = event["objective"]
            self._say(
                f"search {event['name']}: up to {event['trials']} trials of {event['space']}, {objective['direction']} "
                f"{objective['metric']}; {event['task']}, {len(event['labels'])} labels; "
                f"images: {sizes}{_layout(event)}"
            )
            for line in start_remarks(event):
                self._say(line)
        elif event["kind"] == "search_resumed":
            search = self.record
            self._say(f"search {search.name} goes on: {self.standing(search)}")
            for line in (*(f"changed: {change}" for change in event["changes"]), *tracking_remarks(event)):
                self._say(line)
        elif event["kind"] == "trial_ended":
            search = self.record
            trial = next(trial for trial in (*search.trials, *search.reruns) if trial.id == event["trial"])
            self._say(f"{_trial_line(trial)} | {self.standing(search)}")
        elif event["kind"] == "search_ended":
            reason = f" ({event['reason']})" if event["reason"] else ""
            self._say(f"search {event['status']}{reason}")

    def _say(self, line: str) -> None:
        with suppress(OSError):  # nobody reads any more; the search goes on
            print(line, file=self._out, flush=True)


def _layout(started: Event) -> str:
    layout = started["data"].get("layout")
    return f" ({layout})" if layout else ""


def start_remarks(started: Event) -> list[str]:
    """What inspection warned of, a few lines; what limits rule out, and what there is to say of a warm start."""
    warnings = started["data"].get("warnings", [])
    more = len(warnings) - SHOWN_WARNINGS
    return [
        *(f"warning: {warning}" for warning in warnings[:SHOWN_WARNINGS]),
        *([f"warning: and {more} more; `tuner inspect` lists all"] if more > 0 else []),
        *(f"limit: {line}" for line in started.get("never_trained", ())),
        *started.get("warm_start_notes", ()),
        *tracking_remarks(started),
    ]


def tracking_remarks(event: Event) -> list[str]:
    """Where a search is shown, or why it is not, as its beginning or its going on tells."""
    return [f"tracking: {line}" for line in event.get("tracking", ())]


def _trial_line(trial: TrialRecord) -> str:
    value = "-" if trial.best_value is None else table.metric(trial.best_value)
    epochs = "1 epoch" if trial.epochs_run == 1 else f"{trial.epochs_run} epochs"
    came_to = f"{epochs} in {duration(trial.seconds or 0)}"
    why = f": {trial.error}" if trial.error else ""
    where = f" at rung {trial.halted_at}" if trial.halted_at else ""
    return f"{trial.id} {trial.status}{where} {value} ({', '.join(_settings(trial))}) {came_to}{why}"


def _freeze(trial: TrialRecord) -> str:
    return table.freeze(trial.config.get("freeze"), trial.freeze_blocks, trial.total_blocks)


def duration(seconds: float) -> str:
    """`42 s`, `7 min`, `1 h 05 min`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _settings(trial: TrialRecord) -> list[str]:
    return [str(trial.config.get("backbone")), f"freeze {_freeze(trial)}", table.head(trial.config.get("head"))]


class _LiveTable(_Watched):
    def __init__(self) -> None:
        super().__init__()
        self._warnings: list[str] = []

    def hear(self, event: Event) -> None:
        self.take(event)
        if event["kind"] == "search_started":
            self._warnings = start_remarks(event)

    def render(self) -> Group:
        search = self.record
        rows = Table(title=f"{search.name}: {search.metric}", title_justify="left")
        for title in (*("trial", "status", search.metric or "value"), *("backbone", "freeze", "head"), "schedule"):
            rows.add_column(title)
        rows.add_column("epoch", justify="right")
        rows.add_column("time", justify="right")
        running = [trial for trial in (*search.trials, *search.reruns) if trial.status == "running"]
        ended = [trial for trial in search.ranked() if trial.status != "running"]
        for trial in [*running, *ended][:SHOWN_ROWS]:
            best = trial is search.best or (search.best is not None and trial.id == search.best.id)
            rows.add_row(
                trial.id,
                trial.status,
                table.metric(trial.best_value),
                *(str(trial.config.get("backbone")), _freeze(trial), table.head(trial.config.get("head"))),
                table.schedule(trial.config.get("schedule")),
                f"{trial.epochs_run}/{trial.config.get('epochs')}",
                duration(trial.seconds or 0),
                style="bold green" if best else None,
            )
        return Group(*map(Text, self._warnings), rows, Text(self.standing(search)))
