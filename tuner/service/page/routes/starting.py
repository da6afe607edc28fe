"""A new search: its form, its plan, and its start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from trainable.errors import UserError
from tuner.service.access.accounts import Caller
from tuner.service.database.rows import DataSetRow
from tuner.service.errors import ConflictError, TooManyError
from tuner.service.page.routes.asking import Asked, Submitting, Typed, go_to, page
from tuner.service.page.views.planned import Planned, planned
from tuner.service.page.views.starting import (
    OWN_SPACE,
    Form,
    SpaceTold,
    form_of,
    mistakes_by_word,
    mistakes_of,
    space_names,
    submission_of,
    told_space,
)
from tuner.service.searches import require_known
from tuner.service.services import Services
from tuner.service.submissions import proving
from tuner.service.submissions.submission import Submission
from tuner.service.submitting import submit_proved

ROUTER = APIRouter()
_FIRST_SPACE = "quick"


@dataclass(frozen=True)
class NewPage:
    spaces: tuple[str, ...]
    data_sets: tuple[str, ...]
    """ready ones"""
    space: SpaceTold | None
    """None: it is typed in"""
    plan: Planned | None = None
    plan_mistakes: tuple[str, ...] = ()
    own_space: str = OWN_SPACE


@ROUTER.get("/searches/new")
def new(services: Asked, caller: Submitting, data: str = "", space: str = _FIRST_SPACE) -> Response:
    """The form, with nothing in it but what the address chose."""
    return _form(services, caller, form_of({"data": data, "space": space}))


@ROUTER.get("/searches/new/axes")
def axes(services: Asked, caller: Submitting, space: str = _FIRST_SPACE) -> Response:
    """What the chosen space tries, or room for one's own."""
    form = form_of({"space": space})
    return page("new_axes.html", caller, form=form, page=_page(services, form))


@ROUTER.post("/searches/new/plan")
async def plan(request: Request, services: Asked, caller: Submitting, typed: Typed) -> Response:
    """What the search would take; mistakes as well."""
    form = form_of(typed)
    found, mistakes = None, form.mistakes
    try:
        submission = Submission.model_validate(submission_of(form))
        row = await run_in_threadpool(_data, services, submission)
        found = planned(await proving.plan(request.app.state.commands, submission, row))
    except ValidationError as error:
        mistakes = mistakes_of(error)
    except UserError as error:
        mistakes = {"": error.mistakes}
    except (ConflictError, TooManyError) as error:
        mistakes = {"": (str(error),)}
    told = await run_in_threadpool(_page, services, form)
    lines = tuple(f"{name}: {line}" if name else line for name, wrong in mistakes.items() for line in wrong)
    return page("new_plan.html", caller, page=replace(told, plan=found, plan_mistakes=lines))


@ROUTER.post("/searches")
async def start(request: Request, services: Asked, caller: Submitting, typed: Typed) -> Response:
    """Put it into the queue and go to its page; or the form again, with each mistake at its field."""
    form = form_of(typed)
    try:
        submission = Submission.model_validate(submission_of(form))
        name = await submit_proved(services, request.app.state.commands, caller, submission)
    except ValidationError as error:
        form = replace(form, mistakes=mistakes_of(error))
    except UserError as error:
        form = replace(form, mistakes=mistakes_by_word(form, error.mistakes))
    except ConflictError as error:
        taken = "name" if "exists" in str(error) else "data"
        form = replace(form, mistakes={taken: (str(error),)})
    else:
        return go_to(f"/searches/{quote(name)}")
    return await run_in_threadpool(_form, services, caller, form, 422)


def _form(services: Services, caller: Caller, form: Form, status: int = 200) -> Response:
    return page("new.html", caller, here="new_search", status=status, form=form, page=_page(services, form))


def _page(services: Services, form: Form) -> NewPage:
    names = tuple(space_names())
    chosen = form.value("space")
    space = None if chosen == OWN_SPACE else told_space(chosen if chosen in names else _FIRST_SPACE)
    with services.database.reading() as session:
        ready = select(DataSetRow.name).where(DataSetRow.state == "ready").order_by(DataSetRow.created_at.desc())
        return NewPage(names, tuple(session.scalars(ready)), space)


def _data(services: Services, submission: Submission) -> DataSetRow:
    with services.database.reading() as session:
        return require_known(session, submission)
