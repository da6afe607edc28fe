"""Who asks, and whether they may: a bearer token, a login of the pages, or this machine's own user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers

from tuner.service.access import accounts
from tuner.service.access.accounts import Caller
from tuner.service.access.rates import Rate
from tuner.service.database.connection import Database
from tuner.service.database.rows import Scope
from tuner.service.errors import ForbiddenError, TooManyError, UnknownCallerError
from tuner.service.settings import ServiceSettings

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")
_NOTED_EVERY_SECONDS = 60.0
REFUSED_PER_MINUTE = 30
"""tokens that do not count, from one address"""


class Gate:
    """Tells who asks. A token is looked up each time, so that one that is revoked counts no more at once."""

    def __init__(
        self,
        settings: ServiceSettings,
        database: Database,
        session_token: Callable[[Request], str | None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._session_token = session_token
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = Rate(settings.requests_per_minute, settings.requests_per_minute / 4)
        self._refused = Rate(REFUSED_PER_MINUTE, REFUSED_PER_MINUTE)
        self._noted: dict[str, float] = {}
        self._local_id: str | None = None

    def caller(self, request: Request) -> Caller | None:
        """Who asks; None: they have shown nothing that counts.

        Raises:
            ForbiddenError: another website has its visitor's browser ask.
            TooManyError: they have asked too often.
        """
        scheme, text = get_authorization_scheme_param(request.headers.get("Authorization"))
        session = self._session_token(request)
        if scheme.lower() == "bearer":
            caller = self._with_token(text)
        elif session:
            require_own_page(request)
            caller = self._in_session(session)
        else:
            caller = self._local(request)
        if caller is None and not text and not session:
            return None
        if caller is None:
            self._count_refused(request)
            return None
        self._count(self._asked, caller.token_id or caller.user_id)
        self._note(caller)
        return caller

    def caller_to_log_in(self, request: Request, text: str) -> Caller | None:
        """Whose token this is, which somebody has typed in.

        Raises:
            TooManyError: too many that do not count have come from there.
        """
        caller = self._with_token(text)
        if caller is None:
            self._count_refused(request)
        return caller

    def counts_still(self, caller: Caller) -> bool:
        """Whether a stream that the caller has begun may go on."""
        with self._database.reading() as session:
            if caller.token_id is None:
                return not accounts.any_token(session)
            return accounts.caller_of(session, caller.token_id, self._clock()) is not None

    def _with_token(self, text: str) -> Caller | None:
        with self._database.reading() as session:
            return accounts.caller_with(session, text, self._clock())

    def _in_session(self, token_id: str) -> Caller | None:
        with self._database.reading() as session:
            return accounts.caller_of(session, token_id, self._clock())

    def _local(self, request: Request) -> Caller | None:
        """The user of this machine, on a server that nobody has made a token for and no other machine reaches."""
        if not self._settings.is_on_loopback:
            return None
        with self._database.reading() as session:
            if accounts.any_token(session):
                return None
        if _host_name(request.headers) not in _LOOPBACK:  # a name of somebody else's that leads here
            raise ForbiddenError("without tokens only this machine may ask: call it by localhost")
        require_own_page(request)
        return Caller(self._local_user_id(), accounts.LOCAL_USER, "admin")

    def _local_user_id(self) -> str:
        with self._lock:
            if self._local_id is None:
                with self._database.session() as session:
                    self._local_id = accounts.find_or_add_user(session, accounts.LOCAL_USER, self._clock()).id
            return self._local_id

    def _count_refused(self, request: Request) -> None:
        self._count(self._refused, f"address {request.client.host if request.client else ''}")

    def _count(self, rate: Rate, who: str) -> None:
        with self._lock:
            wait_seconds = rate.take(who)
        if wait_seconds:
            raise TooManyError("too many requests: wait a little", wait_seconds)

    def _note(self, caller: Caller) -> None:
        now = time.monotonic()
        id = caller.token_id
        if id is None or now - self._noted.get(id, -_NOTED_EVERY_SECONDS) < _NOTED_EVERY_SECONDS:
            return
        self._noted[id] = now
        with self._database.session() as session:
            accounts.note_use(session, id, self._clock())


def require_own_page(request: Request) -> None:
    """Refuse what a page of another website has the browser send along with what this server trusts.

    Raises:
        ForbiddenError: it would change something, and comes from elsewhere.
    """
    if request.method in _CHANGES_NOTHING:
        return
    headers = request.headers
    origin = headers.get("Origin")
    is_own = origin is None or origin.partition("://")[2] == headers.get("Host")
    if not is_own or headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise ForbiddenError("another website asks for this: only the service's own pages may")


def _host_name(headers: Headers) -> str:
    host = headers.get("Host", "")
    return host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host


def gate_of(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


def caller_or_none(request: Request) -> Caller | None:
    """Who asks, for pages, which send who has not logged in to where they can."""
    return gate_of(request).caller(request)


def _requiring(scope: Scope) -> Callable[..., Caller]:
    def require(request: Request, _: Annotated[object, Depends(_BEARER)]) -> Caller:
        caller = caller_or_none(request)
        if caller is None:
            raise UnknownCallerError("show a token that counts: Authorization: Bearer thaw_...")
        if not caller.may(scope):
            raise ForbiddenError(f"this token is of scope {caller.scope}: one of scope {scope} may do that")
        return caller

    return require


_BEARER = HTTPBearer(auto_error=False, description="from `tuner token create`", bearerFormat="thaw_...")

Reader = Annotated[Caller, Depends(_requiring("read"))]
Submitter = Annotated[Caller, Depends(_requiring("submit"))]
