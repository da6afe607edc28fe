"""What there is to search with, and what a search would take."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from starlette.concurrency import run_in_threadpool

from search_spaces.shipped import shipped_spaces
from trainable.backbones import BACKBONES
from trainable.errors import nearest
from tuner.service.access.security import Reader, Submitter
from tuner.service.api.answers import BackboneAnswer, Page, SpaceAnswer, SpaceTextAnswer
from tuner.service.api.common import Proving, Shared
from tuner.service.database.rows import DataSetRow
from tuner.service.errors import NotFoundError
from tuner.service.problems import refusals
from tuner.service.searches import require_known
from tuner.service.services import Services
from tuner.service.submissions import proving
from tuner.service.submissions.submission import Submission

router = APIRouter(tags=["spaces"])

_SPACE = r"^[a-z0-9_]{1,60}(/[a-z0-9_]{1,60})?$"
_EXAMPLE = {"quick": {"value": {"space": "quick", "data": "cats"}}}
Submitted = Annotated[Submission, Body(openapi_examples=_EXAMPLE)]


@router.get("/spaces", responses=refusals(401, 403, 422, 429))
def list_spaces(_: Reader) -> Page[SpaceAnswer]:
    """The spaces that come with Thaw."""
    return Page(items=[SpaceAnswer.model_validate(space) for space in shipped()])


@router.get("/spaces/{space:path}", responses=refusals(401, 403, 404, 422, 429))
def get_space(_: Reader, space: Annotated[str, Path(pattern=_SPACE, examples=["quick"])]) -> SpaceTextAnswer:
    """A space and its text, to begin one's own with."""
    for known in shipped():
        if known.name == space:
            return SpaceTextAnswer(**{**asdict(known), "text": known.path.read_text(encoding="utf-8")})
    raise NotFoundError(f"there is no shipped space {space!r}{nearest(space, [known.name for known in shipped()])}")


shipped = cache(shipped_spaces)


@router.get("/backbones", responses=refusals(401, 403, 422, 429))
def list_backbones(_: Reader) -> Page[BackboneAnswer]:
    """The backbones that trials may begin with; others are `timm:` and a name of that library."""
    return Page(items=[BackboneAnswer.of(facts) for facts in BACKBONES.values()])


@router.post("/plan", responses=refusals(401, 403, 409, 413, 422, 429))
async def plan_search(services: Shared, commands: Proving, _: Submitter, submission: Submitted) -> dict[str, Any]:
    """What a search would take: epochs, hours, disk, memory. Backbones are measured for seconds each."""
    data = await run_in_threadpool(_data_of, services, submission)
    return await proving.plan(commands, submission, data)


@router.post("/check", responses=refusals(401, 403, 409, 413, 422, 429))
async def check_search(services: Shared, commands: Proving, _: Submitter, submission: Submitted) -> dict[str, Any]:
    """Every mistake of a space and the data set it is for, without running anything."""
    data = await run_in_threadpool(_data_of, services, submission)
    return await proving.check(commands, submission, data)


def _data_of(services: Services, submission: Submission) -> DataSetRow:
    with services.database.reading() as session:
        return require_known(session, submission)
