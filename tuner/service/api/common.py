"""What the routers share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from tuner.service.commands import Commands
from tuner.service.database.rows import SearchRow
from tuner.service.errors import NotFoundError
from tuner.service.searches import find_search
from tuner.service.services import Services
from tuner.service.submissions.submission import NAME
from tuner.service.watching.reading import Reading


def services_of(request: Request) -> Services:
    """Of the server that is asked."""
    services: Services = request.app.state.services
    return services


def commands_of(request: Request) -> Commands:
    commands: Commands = request.app.state.commands
    return commands


Shared = Annotated[Services, Depends(services_of)]
Proving = Annotated[Commands, Depends(commands_of)]
SearchName = Annotated[str, Path(pattern=f"^{NAME}$", description="a search's name", examples=["cats-quick"])]
TrialId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,60}$", description="such as t0007", examples=["t0007"])]
Limit = Annotated[int, Query(ge=1, le=200, description="the most items in an answer")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the answer before")]


def now() -> datetime:
    return datetime.now(UTC)


def row_of(services: Services, name: str) -> SearchRow:
    """A search's row, to read. Raises NotFoundError."""
    with services.database.reading() as session:
        row = find_search(session, name)
        _ = row.owner  # while the session is there
        return row


def reading_of(services: Services, name: str) -> Reading:
    """What a search that the service knows has told. Raises NotFoundError where there is none, or it has not begun."""
    row_of(services, name)
    reading = services.readings.get(name)
    if reading is None:
        raise NotFoundError(f"search {name!r} has not begun: there is nothing to see of it yet")
    return reading
