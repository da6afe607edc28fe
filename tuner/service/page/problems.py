"""What went wrong, as a page that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tuner.service.access.security import caller_or_none
from tuner.service.errors import ForbiddenError, TooManyError
from tuner.service.page.rendering import render
from tuner.service.page.routes.asking import viewer_of
from tuner.service.page.texts import ENGLISH
from tuner.service.page.views.known import Viewer


def problem_page(status: int, lines: Sequence[str] = (), viewer: Viewer | None = None) -> str:
    """HTML.

    Args:
        status: of HTTP
        lines: what is known of it; none: what can be said of any such problem
        viewer: who sees it; None: nobody is known
    """
    kind = status if f"problem_{status}" in ENGLISH else 500 if status >= 500 else 404
    usual = ENGLISH.get(f"problem_{kind}_about")
    told = list(lines) or ([usual] if usual else [])
    return render("problem.html", status=status, title=ENGLISH[f"problem_{kind}"], lines=told, viewer=viewer, here="")


def problem_answer(request: Request, status: int, detail: str) -> Response | None:
    """What a browser is answered instead of a problem in JSON; None: a program asks."""
    path = request.url.path
    if path.startswith(("/v1/", "/static/")) or "text/html" not in request.headers.get("Accept", ""):
        return None
    if status == 401 and request.headers.get("HX-Request") != "true":
        wanted = path + (f"?{request.url.query}" if request.url.query else "") if request.method == "GET" else "/"
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)
    is_said = 400 <= status < 500 and status not in (401, 405) and detail != HTTPStatus(status).phrase
    html = problem_page(status, [detail] if is_said else [], _viewer(request) if status < 500 else None)
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def _viewer(request: Request) -> Viewer | None:
    """Who is to have the menu as well; nobody where that is not known now."""
    with suppress(ForbiddenError, TooManyError):
        caller = caller_or_none(request)
        return viewer_of(caller) if caller else None
    return None
