"""One search: its page, the parts that the page asks for again, and what people want of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from trainable.errors import UserError
from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord
from tuner.report.page.content import without_title
from tuner.service import searches
from tuner.service.database.rows import SearchRow
from tuner.service.page.found import known_search
from tuner.service.page.keeping import Tables
from tuner.service.page.routes.asking import Asked, Looking, Submitting, Typed, go_to, page
from tuner.service.page.views.board import wanted_of
from tuner.service.page.views.curves import curves_data
from tuner.service.page.views.known import Known
from tuner.service.page.views.search import SearchPage, full_table, search_page
from tuner.service.services import Services
from tuner.service.submissions.findings import message_of
from tuner.service.submissions.submission import Extend, GoOn
from tuner.service.watching.logs import log_of, read_end

ROUTER = APIRouter()
_TABLES = Tables()
_LOG_BYTES = 16_384
_MOST_EVENTS = 5_000
"""of which a page is told what changed; beyond, it is told all"""


@ROUTER.get("/searches/{name}")
def search(name: str, request: Request, services: Asked, caller: Looking) -> Response:
    """The page."""
    known, told = _page(services, name, request, with_log=True)
    return page("search.html", caller, known=known, page=told)


@ROUTER.get("/searches/{name}/live")
def live(name: str, request: Request, services: Asked, caller: Looking) -> Response:
    """What of the page changes, for the rows that are wanted; the address follows them."""
    known, told = _page(services, name, request)
    query = told.board.wanted.query
    headers = {"HX-Replace-Url": told.address + (f"?{query}" if query else "")}
    return page("search_live.html", caller, headers=headers, known=known, page=told)


@ROUTER.get("/searches/{name}/log")
def log(name: str, services: Asked, caller: Looking) -> Response:
    """The end of what it has printed."""
    known_search(services, name)
    return page("search_log.html", caller, address=_address(name), log=_log(services, name))


@ROUTER.get("/searches/{name}/curves")
def curves(name: str, services: Asked, caller: Looking, after: int = -1) -> Response:  # noqa: ARG001
    """Learning curves as JSON: of trials that changed since an event, or of all."""
    known_search(services, name)
    reading = services.readings.get(name)
    if reading is None:
        return JSONResponse(curves_data(SearchRecord(), 0))
    seq = reading.last_seq()
    changed = None
    if 0 <= after <= seq and seq - after <= _MOST_EVENTS:
        changed = {told.trial for told in reading.events(after, _MOST_EVENTS) if told.trial}
    return JSONResponse(curves_data(reading.record(), seq, changed))


def _page(services: Services, name: str, request: Request, *, with_log: bool = False) -> tuple[Known, SearchPage]:
    known = known_search(services, name)
    reading = services.readings.get(name)
    wanted, health = wanted_of(request.query_params), services.engine.health()
    common: dict[str, Any] = {
        "log": _log(services, name) if with_log else "",
        "keep_days": services.settings.keep_days,
        "cpus": health.cpus,
        "gpus": health.gpus,
    }
    if reading is None:
        record, evidence = SearchRecord(name=name), Evidence()
        return known, search_page(known, record, evidence, full_table(record, evidence), wanted, **common)
    seq = reading.last_seq()
    record, evidence = reading.record(), reading.evidence()
    table = _TABLES.of(reading, record, evidence, seq)
    conclusions = without_title(reading.store.conclusions())
    files = _files(name, reading.store.report_html, record)
    return known, search_page(
        known, record, evidence, table, wanted, seq=seq, conclusions=conclusions, files=files, **common
    )


def _files(name: str, report: Path, record: SearchRecord) -> tuple[tuple[str, str], ...]:
    """Name of its text and address of each that is there already."""
    api = f"/v1/searches/{quote(name)}"
    found = [("report_html", f"{api}/report.html")] * report.exists()
    found += [("best_yaml", f"{api}/best.yaml")] * (record.best is not None)
    if record.trials:
        found += [(f"leaderboard_{form}", f"{api}/leaderboard?format={form}") for form in ("md", "csv")]
    return tuple(found)


def _log(services: Services, name: str) -> str:
    with services.database.reading() as session:
        row = searches.find_search(session, name)
    return read_end(log_of(services.settings, row), _LOG_BYTES).text


def _address(name: str) -> str:
    return f"/searches/{quote(name)}"


@ROUTER.post("/searches/{name}/stop")
def stop(name: str, services: Asked, caller: Submitting) -> Response:
    """Have it stop, or leave the queue."""
    return _change(services, name, caller, searches.request_stop)


@ROUTER.post("/searches/{name}/resume")
def resume(name: str, services: Asked, caller: Submitting) -> Response:
    """Have it go on."""
    return _change(services, name, caller, lambda row, now: searches.resume(row, GoOn(), now))


@ROUTER.post("/searches/{name}/accept")
def accept(name: str, services: Asked, caller: Submitting) -> Response:
    """Have it go on though it is not what it was."""
    return _change(services, name, caller, lambda row, now: searches.resume(row, GoOn(accept_changes=True), now))


@ROUTER.post("/searches/{name}/extend")
def extend(name: str, services: Asked, caller: Submitting, typed: Typed) -> Response:
    """Have it go on with more."""
    given = {field: typed[field].strip() for field in ("trials", "epochs", "top") if typed.get(field, "").strip()}
    try:
        wish = Extend.model_validate(given)
    except ValidationError as error:
        raise UserError(*(_mistake(finding) for finding in error.errors())) from None
    return _change(services, name, caller, lambda row, now: searches.extend(row, wish, now))


def _mistake(finding: Mapping[str, Any]) -> str:
    where = ".".join(map(str, finding["loc"]))
    return f"{where} {message_of(finding)}" if where else message_of(finding)


@ROUTER.post("/searches/{name}/delete")
def delete(name: str, services: Asked, caller: Submitting) -> Response:
    """Have it hidden, and removed days later."""
    return _change(services, name, caller, searches.delete)


@ROUTER.post("/searches/{name}/restore")
def restore(name: str, services: Asked, caller: Submitting) -> Response:
    """Have it back."""
    return _change(services, name, caller, searches.restore)


def _change(
    services: Services, name: str, caller: Submitting, change: Callable[[SearchRow, datetime], None]
) -> Response:
    with services.database.session() as session:
        row = searches.find_search(session, name, to_change=True)
        caller.require_change(row.owner_id, f"search {name!r}")
        change(row, datetime.now(UTC))
    return go_to(_address(name))
