"""Data sets: registered, uploaded, looked at."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from tuner.config import DataReading
from tuner.service.access.accounts import Caller
from tuner.service.access.security import Reader, Submitter
from tuner.service.api.answers import DataAnswer, Page, PictureAnswer, from_cursor, to_cursor
from tuner.service.api.common import Cursor, Limit, Shared, now
from tuner.service.data import data_sets
from tuner.service.data.listing import read_listing
from tuner.service.data.pictures import thumbnail
from tuner.service.database.rows import DataSetRow
from tuner.service.errors import NotFoundError
from tuner.service.problems import refusals
from tuner.service.services import Services
from tuner.service.submissions.submission import NAME, Name, Sent

router = APIRouter(prefix="/data", tags=["data"])

DataName = Annotated[str, Path(pattern=f"^{NAME}$", description="a data set's name", examples=["cats"])]
_SHOWN_SECONDS = 3600


class Registration(Sent):
    """Data that are to be searched on."""

    name: Name
    path: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """on the server, beneath one of its data roots; null: they are to be uploaded"""
    reading: DataReading = DataReading()
    """how they are read; what is left out is found out"""


_EXAMPLES = {
    "path": {"summary": "on the server", "value": {"name": "cats", "path": "cats/labels.csv"}},
    "upload": {"summary": "to be uploaded", "value": {"name": "cats", "reading": {"task": "multiclass"}}},
}


@router.post("", status_code=201, responses=refusals(401, 403, 409, 413, 422, 429))
async def register_data(
    request: Request,
    services: Shared,
    caller: Submitter,
    response: Response,
    registration: Annotated[Registration, Body(openapi_examples=_EXAMPLES)],
) -> DataAnswer:
    """Register data by their path on the server, which are then inspected, or have them be uploaded."""
    row = await run_in_threadpool(_register, services, caller, registration)
    if row.state == "inspecting":
        request.app.state.inspections.begin(row.id)
    response.headers["Location"] = f"/v1/data/{row.name}"
    return DataAnswer.of(row)


def _register(services: Services, caller: Caller, given: Registration) -> DataSetRow:
    with services.database.session() as session:
        return data_sets.register(session, given.name, given.path, given.reading, caller, services.settings, now())


@router.get("", responses=refusals(401, 403, 422, 429))
def list_data(services: Shared, _: Reader, limit: Limit = 50, cursor: Cursor = None) -> Page[DataAnswer]:
    """Data sets by name."""
    after = None if cursor is None else str(from_cursor(cursor, str)[0])
    with services.database.reading() as session:
        rows = data_sets.list_data(session, after, limit)
    items = [DataAnswer.of(row) for row in rows[:limit]]
    return Page(items=items, next_cursor=to_cursor(items[-1].name) if len(rows) > limit else None)


@router.get("/{name}", responses=refusals(401, 403, 404, 422, 429))
def get_data(services: Shared, _: Reader, name: DataName) -> DataAnswer:
    """A data set and what its inspection has found."""
    return DataAnswer.of(_row_of(services, name))


def _row_of(services: Services, name: str) -> DataSetRow:
    with services.database.reading() as session:
        return data_sets.find_data(session, name)


@router.delete("/{name}", status_code=204, responses=refusals(401, 403, 404, 409, 422, 429))
def delete_data(services: Shared, caller: Submitter, name: DataName) -> None:
    """Forget a data set; files that were uploaded go, registered ones stay where they are."""
    with services.database.session() as session:
        row = data_sets.find_data(session, name)
        caller.require_change(row.owner_id, f"data set {name!r}")
        data_sets.remove(session, row, services.settings)


_ARCHIVE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "a .zip, .tar or .tar.gz with pictures, and a table if the layout needs one",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/{name}/archive",
    status_code=202,
    responses=refusals(401, 403, 404, 409, 413, 422, 429),
    openapi_extra=_ARCHIVE,
)
async def upload_archive(request: Request, services: Shared, caller: Submitter, name: DataName) -> DataAnswer:
    """Send the archive of a data set that was registered without a path; it is then unpacked and inspected."""
    row = await run_in_threadpool(_row_of, services, name)
    caller.require_change(row.owner_id, f"data set {name!r}")
    data_sets.require_uploadable(row)
    archive = data_sets.archive_of(row, services.settings)
    await data_sets.receive(request.stream(), archive, services.settings)
    row = await run_in_threadpool(_be_inspected, services, name)
    request.app.state.inspections.begin(row.id)
    return DataAnswer.of(row)


def _be_inspected(services: Services, name: str) -> DataSetRow:
    with services.database.session() as session:
        row = data_sets.find_data(session, name)
        data_sets.require_uploadable(row)
        row.state, row.told = "inspecting", None
        return row


@router.get("/{name}/pictures", responses=refusals(401, 403, 404, 422, 429))
def list_pictures(
    services: Shared, _: Reader, name: DataName, limit: Limit = 50, cursor: Cursor = None
) -> Page[PictureAnswer]:
    """Its images, shuffled, with their labels; none before they are listed."""
    row = _row_of(services, name)
    begun = 0 if cursor is None else max(0, int(from_cursor(cursor, int)[0]))
    found = read_listing(data_sets.listing_of(row, services.settings), begun, limit + 1)
    items = [
        PictureAnswer(number=number, image=picture.image, labels=picture.labels, split=picture.split)
        for number, picture in enumerate(found[:limit], start=begun)
    ]
    return Page(items=items, next_cursor=to_cursor(begun + limit) if len(found) > limit else None)


@router.get(
    "/{name}/pictures/{number}",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        **refusals(401, 403, 404, 422, 429),
    },
)
def get_picture(
    services: Shared,
    _: Reader,
    name: DataName,
    number: Annotated[int, Path(ge=0, lt=10**7, description="in the list of pictures", examples=[0])],
) -> Response:
    """One of its images, small."""
    row = _row_of(services, name)
    found = read_listing(data_sets.listing_of(row, services.settings), number, 1)
    if not found:
        raise NotFoundError(f"data set {name!r} has no picture {number}")
    content = thumbnail(found[0], data_sets.roots_of(row, services.settings))
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": f"private, max-age={_SHOWN_SECONDS}"})
