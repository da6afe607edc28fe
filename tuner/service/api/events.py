"""What a search tells while it runs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from tuner.service.access.accounts import Caller
from tuner.service.access.security import Gate, Reader, gate_of
from tuner.service.api.answers import LogsAnswer
from tuner.service.api.common import SearchName, Shared, row_of
from tuner.service.errors import TooManyError
from tuner.service.problems import refusals
from tuner.service.watching.logs import PART_BYTES, log_of, read_end, read_part

router = APIRouter(prefix="/searches/{name}", tags=["events"])

_PROVED_EVERY_SECONDS = 15.0
_LAST = 2**53
"""the greatest number that JSON's readers agree on"""
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events: `id` is the number in the log, `event` its kind, `data` the event as JSON",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "required": ["data", "event"],
                    "properties": {
                        "data": {"type": "string", "contentMediaType": "application/json"},
                        "event": {"type": "string"},
                        "id": {"type": "string", "pattern": "^[0-9]+$"},
                    },
                },
                "example": {
                    "event": "epoch",
                    "id": "12",
                    "data": '{"v":1,"seq":12,"time":"2026-11-23T09:00:00Z","kind":"epoch","trial":"t0003","epoch":2}',
                },
            }
        },
    }
}


@router.get("/events", response_class=StreamingResponse, responses={**_STREAM, **refusals(401, 403, 404, 422, 429)})
async def follow_search(
    request: Request,
    services: Shared,
    caller: Reader,
    name: SearchName,
    after: Annotated[int, Query(ge=0, le=_LAST, description="the number of the last event that is known")] = 0,
    follow: Annotated[bool, Query(description="wait for more; else the stream ends with what there is")] = True,
    last_event_id: Annotated[
        str | None, Header(max_length=20, description="as a browser sends it; counts before `after`")
    ] = None,
) -> StreamingResponse:
    """A search's events after a number, each once and in order, then those to come."""
    await run_in_threadpool(row_of, services, name)
    if services.broadcaster.listeners >= services.settings.listeners:
        raise TooManyError("too many listen already: try again later", wait_seconds=30)
    if last_event_id and last_event_id.isdecimal() and last_event_id.isascii():
        after = min(int(last_event_id), _LAST)
    stream = services.broadcaster.stream(name, after, follow)
    # not FastAPI's own, which encodes each event for each listener
    chunks = _while_trusted(stream, gate_of(request), caller)
    return StreamingResponse(chunks, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _while_trusted(stream: AsyncIterator[bytes], gate: Gate, caller: Caller) -> AsyncIterator[bytes]:
    """The stream, until the token that it was asked with counts no more."""
    proved = time.monotonic()
    async for chunk in stream:
        yield chunk
        if time.monotonic() - proved > _PROVED_EVERY_SECONDS:
            if not await run_in_threadpool(gate.counts_still, caller):
                return
            proved = time.monotonic()


@router.get("/logs", responses=refusals(401, 403, 404, 422, 429))
def get_logs(
    services: Shared,
    _: Reader,
    name: SearchName,
    after: Annotated[int, Query(ge=0, le=_LAST, description="`next` of the answer before")] = 0,
    last: Annotated[
        int | None, Query(ge=1, le=PART_BYTES, description="instead of `after`: so many bytes from the end")
    ] = None,
    trial: Annotated[str | None, Query(max_length=60, description="only lines that name it")] = None,
) -> LogsAnswer:
    """What the search's processes have printed, of all its runs."""
    log = log_of(services.settings, row_of(services, name))
    part = read_part(log, after, trial=trial) if last is None else read_end(log, last)
    return LogsAnswer.model_validate(part)
