"""The pages' addresses. Each gathers by the functions that the API's routes call as well, and renders."""

from __future__ import annotations

from fastapi import APIRouter

from tuner.service.page.routes import comparing, data, logins, one_search, searches, starting, static


def pages_router() -> APIRouter:
    """All pages. They are for people, and so in no OpenAPI."""
    router = APIRouter(include_in_schema=False)
    for part in (static, logins, searches, starting, one_search, comparing, data):  # /searches/new before {name}
        router.include_router(part.ROUTER)
    return router
