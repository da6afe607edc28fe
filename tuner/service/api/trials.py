"""What a search has found: trials, curves, tables and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from trainable.errors import UserError
from tuner.service.access.protection import REPORT_POLICY
from tuner.service.access.security import Reader
from tuner.service.api.answers import CurveAnswer, Page, PointAnswer, TrialAnswer, from_cursor, to_cursor
from tuner.service.api.common import Cursor, Limit, SearchName, Shared, TrialId, reading_of
from tuner.service.errors import NotFoundError
from tuner.service.problems import refusals
from tuner.service.watching.reading import Reading, TableFormat

router = APIRouter(prefix="/searches/{name}", tags=["trials"])

_REFUSALS = refusals(401, 403, 404, 422, 429)
_TABLE_TYPES: dict[TableFormat, str] = {"md": "text/markdown", "csv": "text/csv", "json": "application/json"}


def _answering(*types: str) -> dict[int | str, dict[str, Any]]:
    text = {"schema": {"type": "string"}}
    return {200: {"content": {type: {} if type.endswith("json") else text for type in types}}, **_REFUSALS}


@router.get("/trials", responses=_REFUSALS)
def list_trials(
    services: Shared, _: Reader, name: SearchName, limit: Limit = 50, cursor: Cursor = None
) -> Page[TrialAnswer]:
    """The trials in the order that they were asked, reruns after them."""
    record = reading_of(services, name).record()
    trials = [*record.trials, *sorted(record.reruns, key=lambda again: again.number)]
    begun = 0 if cursor is None else int(from_cursor(cursor, int)[0])
    shown, ranks = trials[max(begun, 0) :][:limit], record.ranks()
    end = max(begun, 0) + len(shown)
    items = [TrialAnswer.of(trial, ranks.get(trial.id)) for trial in shown]
    return Page(items=items, next_cursor=to_cursor(end) if end < len(trials) else None)


@router.get("/trials/{trial}", responses=_REFUSALS)
def get_trial(services: Shared, _: Reader, name: SearchName, trial: TrialId) -> dict[str, Any]:
    """A trial's config, result and curve, as `tuner show NAME TRIAL --json` tells them."""
    reading = reading_of(services, name)
    try:
        return reading.trial_facts(trial)
    except UserError as error:
        raise NotFoundError(str(error)) from None


@router.get("/trials/{trial}/curve", responses=_REFUSALS)
def get_curve(services: Shared, _: Reader, name: SearchName, trial: TrialId) -> CurveAnswer:
    """A trial's evaluations so far."""
    reading = reading_of(services, name)
    found = reading.trial(trial)
    if found is None:
        raise NotFoundError(f"search {name!r} has no trial {trial!r}")
    points = [PointAnswer.of(epoch) for epoch in found.epochs]
    return CurveAnswer(trial=trial, metric=reading.record().metric, points=points)


@router.get("/leaderboard", response_class=Response, responses=_answering(*_TABLE_TYPES.values()))
def get_leaderboard(
    services: Shared,
    _: Reader,
    name: SearchName,
    format: Annotated[TableFormat, Query()] = "json",
    top: Annotated[int | None, Query(ge=1, le=100_000, description="only the first rows")] = None,
) -> Response:
    """The table, to the byte as `tuner leaderboard` prints it."""
    text = reading_of(services, name).leaderboard(format, top)
    # half a surrogate, from the name of somebody's file, must not stop a table
    return Response(text.encode("utf-8", "backslashreplace"), media_type=_TABLE_TYPES[format])


@router.get("/best.yaml", response_class=Response, responses=_answering("application/yaml"))
def get_best(services: Shared, _: Reader, name: SearchName) -> Response:
    """The best trial's config, its result and where it came from; `tuner train` runs it again."""
    reading = reading_of(services, name)
    return _file(reading, reading.store.best_yaml, "application/yaml")


@router.get("/conclusions.md", response_class=Response, responses=_answering("text/markdown"))
def get_conclusions(services: Shared, _: Reader, name: SearchName) -> Response:
    """What the table supports, in words; there once a search has ended."""
    reading = reading_of(services, name)
    return _file(reading, reading.store.conclusions_md, "text/markdown")


@router.get("/report.html", response_class=Response, responses=_answering("text/html"))
def get_report(services: Shared, _: Reader, name: SearchName) -> Response:
    """The page that tells the whole search. Its scripts run in a sandbox and reach nothing of the service's."""
    reading = reading_of(services, name)
    answer = _file(reading, reading.store.report_html, "text/html")
    answer.headers["Content-Security-Policy"] = REPORT_POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def _file(reading: Reading, path: Path, media_type: str) -> Response:
    try:
        content = reading.store.fetch(path).read_bytes()
    except OSError:
        raise NotFoundError(
            f"search {reading.store.name!r} has no {path.name} yet: it is written as trials end"
        ) from None
    return Response(content, media_type=media_type)
