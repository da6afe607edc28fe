"""What the API answers with."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from trainable.backbones import BackboneFacts
from trainable.errors import UserError
from trainable.weights import find_weights
from tuner.records import EpochRecord, TrialRecord
from tuner.service.database.rows import DataSetRow, DataState, Scope, SearchRow, State
from tuner.service.searches import shown_state
from tuner.service.services import QueuedSearch
from tuner.service.watching.readings import Summary

Item = TypeVar("Item")


def _shown_as(**example: Any) -> ConfigDict:
    """What the OpenAPI shows an answer by."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class Answer(BaseModel):
    """Fields may be added to it, and none renamed."""

    model_config = ConfigDict(frozen=True, from_attributes=True, use_attribute_docstrings=True)


class Page(Answer, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next_cursor: str | None = None
    """what to give as `cursor` for the rest; null: this is the end"""


class ProgressAnswer(Answer):
    """How far a search has come."""

    ended: int
    """trials that do not run any more"""
    budget: int | None
    running: int
    metric: str
    best: str | None
    best_value: float | None
    elapsed_seconds: float
    seconds_left: float | None


class SearchAnswer(Answer):
    """A search: what is wanted of it, how it is, and what it has found."""

    model_config = _shown_as(
        name="cats-quick",
        state="running",
        reason="",
        owner="ada",
        space="quick",
        data="cats",
        priority=0,
        place=None,
        submitted_at="2026-11-23T09:00:00Z",
        state_since="2026-11-23T09:00:04Z",
        attempts=1,
        exit_code=None,
        has_changed=False,
        progress=None,
        facts=None,
    )

    name: str
    state: State
    reason: str
    """why it is so, in words"""
    owner: str | None
    """null: it was found in the results, and not submitted here"""
    space: str | None
    """a shipped space's name; null: it was submitted as a text"""
    data: str | None
    priority: int
    place: int | None
    """in the queue; 1: begins next"""
    submitted_at: datetime
    state_since: datetime
    attempts: int
    exit_code: int | None
    has_changed: bool
    """it is not what it was when it was left, as `reason` tells: it goes on by `resume` with `accept_changes`"""
    progress: ProgressAnswer | None
    """null: it has not begun"""
    facts: dict[str, Any] | None
    """as `tuner show NAME --json` tells; null: it has not begun"""

    @classmethod
    def of(cls, row: SearchRow, summary: Summary | None, places: Mapping[str, QueuedSearch]) -> Self:
        """A search as its row and its log tell; one that is to go on waits, whatever it came to before."""
        queued = places.get(row.name)
        state = shown_state(row)
        return cls(
            name=row.name,
            state=state,
            reason=queued.reason if queued else row.reason,
            owner=row.owner.name if row.owner else None,
            space=row.submission.get("space"),
            data=row.submission.get("data"),
            priority=row.priority,
            place=queued.place if queued else None,
            submitted_at=row.submitted_at,
            state_since=row.state_since,
            attempts=row.attempts,
            exit_code=None if state == "queued" else row.exit_code,
            has_changed=row.has_changed,
            progress=ProgressAnswer.model_validate(summary.progress) if summary else None,
            facts=summary.facts if summary else None,
        )


class TrialAnswer(Answer):
    """A trial in short."""

    model_config = _shown_as(
        trial="t0007",
        status="complete",
        number=6,
        rank=1,
        baseline=False,
        parent=None,
        backbone="lite0",
        params={"optimizer.lr": 0.0003},
        best_value=0.75,
        best_epoch=8.0,
        epochs_run=9.0,
        seconds=80.5,
        error=None,
    )

    trial: str
    status: str
    number: int
    rank: int | None
    baseline: bool
    parent: str | None
    backbone: str | None
    params: dict[str, Any]
    """what was searched"""
    best_value: float | None
    best_epoch: float | None
    epochs_run: float
    seconds: float | None
    error: str | None

    @classmethod
    def of(cls, trial: TrialRecord, rank: int | None) -> Self:
        """A trial as its record tells, and its rank by value."""
        backbone = trial.config.get("backbone")
        return cls(
            trial=trial.id,
            status=trial.status,
            number=trial.number,
            rank=rank,
            baseline=trial.baseline,
            parent=trial.parent,
            backbone=backbone if isinstance(backbone, str) else None,
            params=dict(trial.params),
            best_value=trial.best_value,
            best_epoch=trial.best_epoch,
            epochs_run=trial.epochs_run,
            seconds=trial.seconds,
            error=trial.error,
        )


class PointAnswer(Answer):
    """One evaluation of a trial."""

    model_config = _shown_as(
        epoch=1.0,
        step=1,
        value=0.5,
        best_value=0.5,
        val={"f1_macro": 0.5, "loss": 0.6},
        train_loss=0.7,
        lr=0.0003,
        seconds=8.5,
    )

    epoch: float
    step: int
    value: float | None
    best_value: float | None
    val: dict[str, float]
    train_loss: float | None
    lr: float | None
    seconds: float | None

    @classmethod
    def of(cls, epoch: EpochRecord) -> Self:
        return cls.model_validate(epoch)


class CurveAnswer(Answer):
    """How a trial has learnt so far."""

    trial: str
    metric: str
    points: list[PointAnswer]


class LogsAnswer(Answer):
    """A part of what a search's processes have printed."""

    model_config = _shown_as(text="t0007 epoch 1/9: f1_macro 0.5\n", next=31, size=31)

    text: str
    next: int
    """what to give as `after` for what comes next"""
    size: int
    """bytes that there are now"""


class QueuedAnswer(Answer):
    """A search that waits."""

    model_config = _shown_as(
        name="cats-quick", owner="ada", priority=0, place=1, reason="as many searches run as may at once"
    )

    name: str
    owner: str
    priority: int
    place: int
    reason: str


class SpaceAnswer(Answer):
    """A shipped space."""

    model_config = _shown_as(name="quick", about="Small networks at 96 pixels", axes=8)

    name: str
    about: str
    axes: int


class SpaceTextAnswer(SpaceAnswer):
    model_config = _shown_as(name="quick", about="Small networks at 96 pixels", axes=8, text="version: 1\n")

    text: str
    """as YAML"""


class BackboneAnswer(Answer):
    """What a trial may begin with."""

    model_config = _shown_as(
        name="resnet18", blocks=5, parameters=11176512, input_size=224, source="torchvision", is_here=True
    )

    name: str
    blocks: int | None
    parameters: int | None
    input_size: int | None
    """pixels a side"""
    source: str
    """of its weights"""
    is_here: bool
    """whether its weights are on the server"""

    @classmethod
    def of(cls, facts: BackboneFacts) -> Self:
        return cls(
            name=facts.name,
            blocks=facts.blocks,
            parameters=facts.parameters,
            input_size=facts.input_size,
            source=facts.source,
            is_here=find_weights(facts.name) is not None,
        )


class DataAnswer(Answer):
    """A data set."""

    model_config = _shown_as(
        name="cats",
        owner="ada",
        is_upload=True,
        state="ready",
        reading={"task": "multiclass"},
        told={"images": 400},
        created_at="2026-11-23T08:55:00Z",
    )

    name: str
    owner: str | None
    is_upload: bool
    state: DataState
    reading: dict[str, Any]
    told: dict[str, Any] | None
    """what the inspection has found; of refused data, its `mistakes`"""
    created_at: datetime

    @classmethod
    def of(cls, row: DataSetRow) -> Self:
        return cls(
            name=row.name,
            owner=row.owner.name if row.owner else None,
            is_upload=row.is_upload,
            state=row.state,
            reading=row.reading,
            told=row.told,
            created_at=row.created_at,
        )


class PictureAnswer(Answer):
    """An image of a data set."""

    model_config = _shown_as(number=0, image="tabby/0001.jpg", labels=["tabby"], split=None)

    number: int
    """by which it is asked for"""
    image: str
    labels: tuple[str, ...]
    split: str | None


class MeAnswer(Answer):
    """Whom the server takes the caller for."""

    model_config = _shown_as(name="ada", scope="submit")

    name: str
    scope: Scope


class HealthAnswer(Answer):
    """Whether the server does its work."""

    model_config = _shown_as(is_ready=True, problem="", running=2, queued=0, cpus=8.0, gpus=1.0, restarts_of_ray=0)

    is_ready: bool
    problem: str
    running: int
    queued: int
    cpus: float
    gpus: float
    restarts_of_ray: int


def to_cursor(*key: object) -> str:
    """An opaque text of where a list goes on."""
    text = json.dumps([part.isoformat() if isinstance(part, datetime) else part for part in key])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: str, *kinds: type) -> Sequence[Any]:
    """What `to_cursor` was given. Raises UserError for anything else."""
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        if not isinstance(key, list) or len(key) != len(kinds):
            raise ValueError("not a key")
        found = [datetime.fromisoformat(one) if kind is datetime else one for kind, one in zip(kinds, key, strict=True)]
        if not all(type(one) is kind for kind, one in zip(kinds, found, strict=True)):
            raise ValueError("not a key")
        if any("\0" in one for one in found if isinstance(one, str)):
            raise ValueError("no text")
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise UserError("cursor: is none that this server gave; leave it out to begin anew") from None
    return found
