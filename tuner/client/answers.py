"""What a server tells; fields that a later server adds are left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

BUSY = ("starting", "running", "stopping")
"""states of a search that a process works on"""
WAITING = ("queued", *BUSY)
"""states that end by themselves"""


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Me(Answer):
    """Who a server takes the client for."""

    name: str
    scope: Literal["read", "submit", "admin"]


class Progress(Answer):
    """How far a search has come."""

    ended: int = 0
    budget: int | None = None
    running: int = 0
    metric: str = ""
    best: str | None = None
    best_value: float | None = None
    elapsed_seconds: float = 0.0
    seconds_left: float | None = None


class Search(Answer):
    """A search, as the server knows it."""

    name: str
    state: str
    """queued, starting, running, stopping, stopped, complete, failed or deleted"""
    reason: str = ""
    """why it is so, in words"""
    owner: str | None = None
    space: str | None = None
    """a shipped space's name; None: it was submitted as a text"""
    data: str | None = None
    priority: int = 0
    place: int | None = None
    """in the queue; 1: begins next"""
    submitted_at: datetime | None = None
    state_since: datetime | None = None
    exit_code: int | None = None
    has_changed: bool = False
    """it is not what it was when it was left, as `reason` tells: it goes on by `resume` with `accept_changes`"""
    progress: Progress | None = None
    facts: dict[str, Any] | None = None
    """as `tuner show NAME --json` has them; None: it has not begun"""


class Logs(Answer):
    """A part of what a search's process has printed."""

    text: str
    next: int
    """what to ask `after` for what comes next"""
    size: int
    """of all that it has printed, in bytes"""


class Queued(Answer):
    """A search that waits."""

    name: str
    owner: str | None = None
    priority: int = 0
    place: int
    """1: begins next"""
    reason: str = ""
    """why it waits, in words"""


class Trial(Answer):
    """A trial in short; `Client.trial` has all of it."""

    trial: str
    status: str
    number: int = 0
    rank: int | None = None
    baseline: bool = False
    parent: str | None = None
    backbone: str | None = None
    params: dict[str, Any] = {}
    """what was searched"""
    best_value: float | None = None
    best_epoch: float | None = None
    epochs_run: float = 0
    seconds: float | None = None
    error: str | None = None


class Point(Answer):
    """One evaluation of a trial."""

    epoch: float
    step: int = 0
    value: float | None = None
    best_value: float | None = None
    val: dict[str, float] = {}
    train_loss: float | None = None
    lr: float | None = None
    seconds: float | None = None


class Curve(Answer):
    """How a trial has learnt so far."""

    trial: str
    metric: str
    points: tuple[Point, ...] = ()


class Space(Answer):
    """A shipped space."""

    name: str
    about: str
    axes: int
    """how many fields it searches"""
    text: str | None = None
    """as YAML; None in lists"""


class Backbone(Answer):
    """What a trial may begin with."""

    name: str
    blocks: int
    parameters: int | None = None
    input_size: int = 0
    """pixels a side"""
    source: str = ""
    """of its weights"""
    is_here: bool = False
    """whether its weights are on the server"""


class DataSet(Answer):
    """Labelled images that searches may name."""

    name: str
    state: str
    """empty (its archive has not come), inspecting, ready or refused"""
    owner: str | None = None
    is_upload: bool = False
    reading: dict[str, Any] = {}
    """layout, label_column, split, ... as docs/data.md has them"""
    told: dict[str, Any] | None = None
    """what the inspection has found, as `tuner inspect --json` has it; of refused data, its `mistakes`"""

    @property
    def mistakes(self) -> list[str]:
        """Why it was refused, a line each."""
        return list((self.told or {}).get("mistakes") or [f"data set {self.name!r} is {self.state}"])


class Health(Answer):
    """Whether a server does its work."""

    is_ready: bool
    problem: str = ""
    """why not, in words"""
    running: int = 0
    queued: int = 0
    cpus: float = 0.0
    gpus: float = 0.0
