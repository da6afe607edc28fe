"""What every page is given: who looks, the services, and what was typed into a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse

from tuner.service.access.accounts import Caller
from tuner.service.access.security import caller_or_none
from tuner.service.errors import ForbiddenError, UnknownCallerError
from tuner.service.page.rendering import render
from tuner.service.page.views.known import Viewer
from tuner.service.services import Services


def viewer_of(caller: Caller) -> Viewer:
    """A caller as the pages see them."""
    return Viewer(caller.name, caller.may("submit"), caller.may("admin"), caller.token_id is not None)


def _looking(request: Request) -> Caller:
    caller = caller_or_none(request)
    if caller is None:
        raise UnknownCallerError("log in first")
    return caller


def _submitting(caller: Annotated[Caller, Depends(_looking)]) -> Caller:
    if not caller.may("submit"):
        raise ForbiddenError("your token may look at this, but not change it: ask for one of scope submit")
    return caller


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _typed(request: Request) -> Mapping[str, str]:
    """The texts of a form; files are sent otherwise."""
    form = await request.form(max_files=0)
    return {name: value for name, value in form.items() if isinstance(value, str)}


Looking = Annotated[Caller, Depends(_looking)]
"""anybody who may see pages"""
Submitting = Annotated[Caller, Depends(_submitting)]
Asked = Annotated[Services, Depends(_services)]
Typed = Annotated[Mapping[str, str], Depends(_typed)]


def page(
    template: str,
    caller: Caller | None,
    here: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **names: Any,
) -> HTMLResponse:
    """A page or a part of one; `here` is the place of the main menu that it belongs to."""
    viewer = viewer_of(caller) if caller else None
    html = render(template, viewer=viewer, here=here, **names)
    return HTMLResponse(html, status, {"Cache-Control": "no-store", **(headers or {})})


def go_to(address: str) -> RedirectResponse:
    """After a form, so that reloading does not send it again."""
    return RedirectResponse(address, 303)


def is_part(request: Request) -> bool:
    """Whether a page that is open asks for a part of itself."""
    return request.headers.get("HX-Request") == "true"
