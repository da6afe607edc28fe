"""The application: routers, what holds for all of them, and its description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.types import Scope

from trainable.errors import UserError, nearest
from tuner.service.access.protection import HEADERS, BoundedBodies, SafeHeaders, TextAddresses
from tuner.service.access.security import Gate, Reader
from tuner.service.api import data, events, operations, searches, spaces, trials
from tuner.service.commands import Commands
from tuner.service.data.inspections import Inspections
from tuner.service.metrics import MeasuredRequests, Metrics
from tuner.service.page.problems import problem_answer
from tuner.service.page.routes import pages_router
from tuner.service.page.sessions import Sessions
from tuner.service.problems import add_problems, schemas
from tuner.service.services import Services

PREFIX = "/v1"
_AT_ONCE, _WAITING = 2, 8
"""plans and checks"""
_TAGS = [
    {"name": "searches", "description": "Submitted, watched, stopped, resumed, extended and deleted."},
    {"name": "trials", "description": "What a search has found, in numbers, tables and files."},
    {"name": "events", "description": "What a search tells while it runs."},
    {"name": "data", "description": "Labelled images that searches may name."},
    {"name": "spaces", "description": "What there is to search with, and what a search would take."},
    {"name": "operations", "description": "Who asks, what waits, and whether the server is well."},
]


def make_app(services: Services) -> FastAPI:
    """The API of a server, and its pages. It begins to watch searches as it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services.broadcaster.start()
        app.state.inspections.start()
        yield
        await services.broadcaster.close()
        await app.state.inspections.close()

    app = FastAPI(
        title="Thaw",
        summary="Searches of hyperparameters of transfer-learned image classifiers.",
        version="1",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # they would load scripts of others
        redoc_url=None,
        openapi_tags=_TAGS,
        lifespan=lifespan,
        generate_unique_id_function=_name_of,
    )
    app.state.services = services
    app.state.sessions = Sessions(services.settings.state)
    app.state.gate = Gate(services.settings, services.database, app.state.sessions.token_id)
    app.state.commands = Commands(_AT_ONCE, _WAITING)
    app.state.inspections = Inspections(services.settings, services.database)
    app.state.metrics = Metrics(services)
    v1 = APIRouter(prefix=PREFIX, dependencies=[Depends(_require_known_parameters)])
    for part in (searches, trials, events, data, spaces, operations):
        v1.include_router(part.router)
    app.include_router(v1)
    app.include_router(operations.root)
    app.include_router(pages_router())
    add_problems(app, problem_answer, HEADERS)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.add_middleware(BoundedBodies, is_upload=_is_upload)
    app.add_middleware(TextAddresses)
    app.add_middleware(SafeHeaders)
    app.add_middleware(MeasuredRequests, metrics=app.state.metrics)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = FastAPI.openapi(app)
        app.openapi_schema["components"]["schemas"] |= schemas()
    return app.openapi_schema


def _require_known_parameters(request: Request, _: Reader) -> None:
    """Raises UserError for a parameter that the operation has not: a mistyped filter would let everything through."""
    endpoint = request.scope["endpoint"].__name__
    operations = (one for verbs in request.app.openapi()["paths"].values() for one in verbs.values())
    operation = next(one for one in operations if one["operationId"] == endpoint)
    known = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    for name in request.query_params:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UserError(f"there is no parameter {name!r}{nearest(name, known)} ({has})")


def _name_of(route: APIRoute) -> str:
    """Of an operation, by which clients are generated."""
    return route.name


def _is_upload(scope: Scope) -> bool:
    return str(scope["path"]).endswith("/archive")
