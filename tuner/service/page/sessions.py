"""Logins of the pages: a cookie that names a token and is signed, so that no browser keeps the token itself."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "thaw_session"
LASTS_SECONDS = 30 * 24 * 3600
_KEY_BYTES = 32
_SALT = "thaw page session"


class Sessions:
    """Those that one server began; its key is in a file, so that logins outlive its process."""

    def __init__(self, state: Path) -> None:
        """`state` is the server's folder."""
        self._signer = TimestampSigner(_key(state / "session.key"), salt=_SALT)

    def begin(self, response: Response, token_id: str, *, is_https: bool) -> None:
        """From now on whoever gets this response is who has the token."""
        response.set_cookie(
            COOKIE,
            self._signer.sign(token_id).decode(),
            max_age=LASTS_SECONDS,
            secure=is_https,
            httponly=True,
            samesite="strict",
        )

    def end(self, response: Response) -> None:
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    def token_id(self, request: Request) -> str | None:
        """Of whoever asks; None: nobody is logged in. Whether the token still counts is not known here."""
        try:
            return self._signer.unsign(request.cookies.get(COOKIE, ""), max_age=LASTS_SECONDS).decode()
        except BadSignature:
            return None


def _key(path: Path) -> bytes:
    """The server's own, made when it is first needed; of two that are made at once, the first counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with suppress(FileExistsError):
            os.link(made, path)
        made.unlink()
    return path.read_bytes()
