"""Data sets: all of them, one with its pictures, and what people register or remove."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from trainable.errors import UserError
from tuner.config import DataReading
from tuner.service.access.accounts import Caller
from tuner.service.data import data_sets
from tuner.service.data.listing import read_listing
from tuner.service.database.rows import DataSetRow
from tuner.service.errors import ConflictError, ForbiddenError
from tuner.service.page.routes.asking import Asked, Looking, Submitting, Typed, go_to, is_part, page
from tuner.service.page.views.data import DataSet, Picture, data_set
from tuner.service.page.views.starting import Form
from tuner.service.services import Services
from tuner.service.submissions.submission import NAME, NAME_RULE

ROUTER = APIRouter()
_ON_A_PAGE = 200
_OF_EACH, _OF_ONE = 8, 60
"""pictures"""


@dataclass(frozen=True)
class DataPage:
    data_sets: tuple[DataSet, ...]
    roots: tuple[str, ...]
    upload_gib: float

    @property
    def waits(self) -> bool:
        """Whether something is being looked at, so that the page asks again."""
        return any(one.state == "inspecting" for one in self.data_sets)


@dataclass(frozen=True)
class DataSetPage:
    data: DataSet
    may_change: bool


@ROUTER.get("/data")
def data(request: Request, services: Asked, caller: Looking) -> Response:
    """All of them, and how to add one."""
    template = "data_list.html" if is_part(request) else "data.html"
    return _list(services, caller, Form(), template=template)


@ROUTER.get("/data/{name}")
def one_data_set(name: str, services: Asked, caller: Looking) -> Response:
    """What is in it."""
    with services.database.reading() as session:
        row = data_sets.find_data(session, name)
    told = DataSetPage(_told(services, row, _OF_ONE), _may_change(caller, row))
    return page("data_set.html", caller, here="data", page=told)


@ROUTER.post("/data")
async def register(request: Request, services: Asked, caller: Submitting, typed: Typed) -> Response:
    """Have a folder or table of the server be looked at; or the form again, with each mistake at its field."""
    form = Form({name: typed.get(name, "").strip() for name in ("name", "path")})
    try:
        row = await run_in_threadpool(_register, services, caller, form)
    except UserError as error:
        mistakes = {"name" if error.mistakes[0].startswith("name") else "path": error.mistakes}
    except ConflictError as error:
        mistakes = {"name": (str(error),)}
    else:
        request.app.state.inspections.begin(row.id)
        return go_to(_address(row.name))
    return await run_in_threadpool(_list, services, caller, Form(form.values, mistakes), 422)


@ROUTER.post("/data/{name}/remove")
def remove(name: str, services: Asked, caller: Submitting) -> Response:
    """Forget it."""
    with services.database.session() as session:
        row = data_sets.find_data(session, name)
        caller.require_change(row.owner_id, f"data set {name!r}")
        data_sets.remove(session, row, services.settings)
    return go_to("/data")


def _register(services: Services, caller: Caller, form: Form) -> DataSetRow:
    name, path = form.value("name"), form.value("path")
    if not re.fullmatch(NAME, name):
        raise UserError(f"name {name!r}: {NAME_RULE}")
    if not path:
        raise UserError("path: say where the data are")
    with services.database.session() as session:
        now = datetime.now(UTC)
        return data_sets.register(session, name, path, DataReading(), caller, services.settings, now)


def _list(services: Services, caller: Caller, form: Form, status: int = 200, template: str = "data.html") -> Response:
    with services.database.reading() as session:
        rows = data_sets.list_data(session, None, _ON_A_PAGE)[:_ON_A_PAGE]
    told = DataPage(
        data_sets=tuple(_told(services, row, _OF_EACH) for row in rows),
        roots=tuple(map(str, services.settings.data_roots)),
        upload_gib=services.settings.upload_gib,
    )
    return page(template, caller, here="data", status=status, page=told, form=form)


def _told(services: Services, row: DataSetRow, pictures: int) -> DataSet:
    found = read_listing(data_sets.listing_of(row, services.settings), 0, pictures)
    return data_set(
        row.name,
        row.state,
        row.told or {},
        owner=row.owner.name if row.owner else "",
        created=row.created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        path="" if row.is_upload else row.path,
        pictures=tuple(
            Picture(f"/v1/data/{quote(row.name)}/pictures/{number}", ", ".join(picture.labels))
            for number, picture in enumerate(found)
        ),
    )


def _may_change(caller: Caller, row: DataSetRow) -> bool:
    try:
        caller.require_change(row.owner_id, f"data set {row.name!r}")
    except ForbiddenError:
        return False
    return True


def _address(name: str) -> str:
    return f"/data/{quote(name)}"
