"""Who asks, what waits, and whether the server is well."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import text
from starlette.responses import PlainTextResponse

from tuner.service.access.security import Reader
from tuner.service.api.answers import HealthAnswer, MeAnswer, Page, QueuedAnswer
from tuner.service.api.common import Shared
from tuner.service.metrics import Metrics
from tuner.service.problems import refusals

router = APIRouter(tags=["operations"])
root = APIRouter(tags=["operations"])
"""what is not under /v1, since programs that watch services expect it elsewhere"""

_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/me", responses=refusals(401, 403, 429))
def get_me(caller: Reader) -> MeAnswer:
    """Whom the server takes the caller for, and what they may do."""
    return MeAnswer(name=caller.name, scope=caller.scope)


@router.get("/queue", responses=refusals(401, 403, 429))
def get_queue(services: Shared, _: Reader) -> Page[QueuedAnswer]:
    """The searches that wait, the next one first."""
    return Page(items=[QueuedAnswer.model_validate(queued) for queued in services.engine.queue()])


@root.head(
    "/healthz", response_class=PlainTextResponse, include_in_schema=False
)  # as programs that watch services like to ask
@root.get("/healthz", response_class=PlainTextResponse, responses=_TEXT)
def get_alive() -> str:
    """Whether the process answers."""
    return "ok\n"


@root.head("/readyz", include_in_schema=False)
@root.get("/readyz", responses={503: {"model": HealthAnswer, "description": "Service Unavailable"}})
def get_ready(services: Shared, response: Response) -> HealthAnswer:
    """Whether searches that are submitted now would be begun: the database, the lease on it, and Ray."""
    with services.database.reading() as session:
        session.execute(text("SELECT 1"))
    health = HealthAnswer.model_validate(services.engine.health())
    response.status_code = 200 if health.is_ready else 503
    return health


@root.get("/metrics", response_class=PlainTextResponse, responses={**_TEXT, **refusals(401, 403, 429)})
def get_metrics(request: Request, _: Reader) -> Response:
    """For Prometheus."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.text(), media_type=metrics.media_type)
