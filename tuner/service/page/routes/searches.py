"""The list of searches."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from tuner.service.page.found import known_searches
from tuner.service.page.routes.asking import Asked, Looking, is_part, page

ROUTER = APIRouter()


@ROUTER.get("/")
def searches(
    request: Request, services: Asked, caller: Looking, state: str = "", owner: str = "", cursor: str = ""
) -> Response:
    """All of them, or those of a state or owner; asked for by the page itself, only the list."""
    template = "searches_list.html" if is_part(request) else "searches.html"
    return page(template, caller, here="searches", list=known_searches(services, state, owner, cursor))
