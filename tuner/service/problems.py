"""One shape for everything that is refused: RFC 9457, problem details."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from trainable.errors import UserError
from tuner.service.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TooLargeError,
    TooManyError,
    UnknownCallerError,
)
from tuner.service.submissions.findings import message_of

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MISTAKES = 100


class Mistake(BaseModel):
    """One thing that is wrong with what was sent."""

    field: str
    """dotted, such as `budget.trials`; empty: it is about the whole"""
    message: str
    """what was given, the rule, and what to do"""


class Problem(BaseModel):
    """Why something was refused."""

    type: str = "about:blank"
    title: str
    """of the status"""
    status: int
    detail: str
    """in a line"""
    errors: list[Mistake] = []


def problem_response(
    status: int, detail: str, errors: list[Mistake] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A refusal."""
    title = HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail=detail, errors=(errors or [])[:_MISTAKES])
    # half a surrogate, that somebody sent as the name of a field, cannot be sent back
    body = json.dumps(problem.model_dump(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers, MEDIA_TYPE)


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides, for the OpenAPI."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def schemas() -> dict[str, Any]:
    """Of what refusals hold, for the OpenAPI."""
    found = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**found.pop("$defs"), "Problem": found}


def add_problems(
    app: FastAPI,
    page: Callable[[Request, int, str], Response | None] = lambda *_: None,
    headers_of_mistakes: Mapping[str, str] = {},
) -> None:
    """Have every refusal be told in this shape.

    Args:
        app: to which the handlers are added
        page: what people see in a browser instead; None: this is for a program
        headers_of_mistakes: of the service's own, whose answers no middleware sees
    """

    def told(
        request: Request,
        status: int,
        detail: str,
        errors: list[Mistake] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        return page(request, status, detail) or problem_response(status, detail, errors, headers)

    def add(kind: type[Exception], status: int, headers: Mapping[str, str] | None = None) -> None:
        @app.exception_handler(kind)
        def _(request: Request, error: Exception) -> Response:
            return told(request, status, str(error), headers=headers)

    for kind, status in _STATUSES.items():
        add(kind, status)
    add(UnknownCallerError, 401, {"WWW-Authenticate": "Bearer"})

    @app.exception_handler(UserError)
    def _(request: Request, error: UserError) -> Response:
        return told(request, 422, error.mistakes[0], [_mistake(line) for line in error.mistakes])

    @app.exception_handler(RequestValidationError)
    def _(request: Request, error: RequestValidationError) -> Response:
        errors = [_told(finding) for finding in error.errors()]
        first = f"{errors[0].field}: {errors[0].message}" if errors[0].field else errors[0].message
        return told(request, 422, first, errors)

    @app.exception_handler(TooManyError)
    def _(request: Request, error: TooManyError) -> Response:
        return told(request, 429, str(error), headers={"Retry-After": str(math.ceil(error.wait_seconds))})

    @app.exception_handler(HTTPException)
    def _(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # nested too deeply, or with a number of too many digits
            return told(request, 422, "the body is not JSON that can be read")
        return told(request, error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(OperationalError)
    def _(request: Request, error: OperationalError) -> Response:
        _log.error("the database: %s", error)
        return told(request, 503, "the database does not answer: try again", headers={"Retry-After": "5"})

    @app.exception_handler(Exception)
    def _(request: Request, error: Exception) -> Response:  # noqa: ARG001  (logged by the server, with its traceback)
        answer = told(request, 500, "this is a mistake of the service: its log tells more")
        answer.headers.update(headers_of_mistakes)
        return answer


_STATUSES: Mapping[type[Exception], int] = {
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    TooLargeError: 413,
}


def _mistake(line: str) -> Mistake:
    field, colon, rest = line.partition(": ")
    return Mistake(field=field, message=rest) if colon and field.isidentifier() else Mistake(field="", message=line)


def _told(finding: Mapping[str, Any]) -> Mistake:
    """What pydantic has found, in our words."""
    where = [str(part) for part in finding["loc"]]
    if where and where[0] in ("body", "query", "path", "header", "cookie"):
        where = where[1:]
    if finding["type"] == "json_invalid":
        return Mistake(field="", message="the body is not JSON")
    return Mistake(field=".".join(where), message=message_of(finding))
