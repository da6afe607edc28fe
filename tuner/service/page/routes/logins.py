"""Logging in by a token, and out."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from tuner.service.access.security import caller_or_none, gate_of, require_own_page
from tuner.service.page.routes.asking import Typed, go_to, page
from tuner.service.page.sessions import Sessions

ROUTER = APIRouter()


@ROUTER.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    """Where one pastes a token."""
    if caller_or_none(request) is not None:
        return go_to(_within(next))
    return page("login.html", None, next=_within(next), is_wrong=False)


@ROUTER.post("/login")
def login(request: Request, typed: Typed) -> Response:
    """From now on the browser is who has the token."""
    require_own_page(request)
    next_page = _within(typed.get("next", ""))
    caller = gate_of(request).caller_to_log_in(request, typed.get("token", "").strip())
    if caller is None or caller.token_id is None:
        return page("login.html", None, status=401, next=next_page, is_wrong=True)
    response = go_to(next_page)
    _sessions(request).begin(response, caller.token_id, is_https=request.url.scheme == "https")
    return response


@ROUTER.post("/logout")
def logout(request: Request) -> Response:
    """The browser is nobody any more; the token goes on to count."""
    require_own_page(request)
    response = go_to("/login")
    _sessions(request).end(response)
    return response


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


def _within(address: str) -> str:
    """An address of this server, so that no link to the login leads to another one."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\", "/login")) and address.isprintable()
    return address if is_ours else "/"
