"""Users and their tokens. A token is told once, to who it is made for; only its SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from trainable.errors import UserError, nearest
from tuner.service.database.rows import Scope, TokenRow, UserRow
from tuner.service.errors import ForbiddenError
from tuner.service.ids import new_id

LOCAL_USER = "me"
"""whose the searches are on a server that asks nobody for a token"""
SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")
"""each may do what those before it may"""
_PREFIX = "thaw_"
"""by which programs that look for leaked secrets know one"""
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Caller:
    """Who asks for something."""

    user_id: str
    name: str
    scope: Scope
    token_id: str | None = None
    """None: on this machine, where nobody is asked for one"""

    def may(self, scope: Scope) -> bool:
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def require_change(self, owner_id: str | None, what: str) -> None:
        """Find out that the caller may change what this user owns.

        Raises:
            ForbiddenError: it is somebody else's, and the caller is no administrator.
        """
        if not self.may("admin") and (owner_id != self.user_id or not self.may("submit")):
            raise ForbiddenError(f"{what} is not yours: its owner or a token of scope admin may change it")


def create_token(
    session: Session, user_name: str, scope: Scope, now: datetime, lifetime: timedelta | None = None
) -> tuple[TokenRow, str]:
    """A new token of a user, who is made if need be, and its text, which cannot be had again."""
    user = find_or_add_user(session, user_name, now)
    text = _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    token = TokenRow(
        id=new_id(),
        user_id=user.id,
        name=user_name,
        sha256=_sha256(text),
        scope=scope,
        created_at=now,
        expires_at=now + lifetime if lifetime else None,
    )
    session.add(token)
    session.flush()
    return token, text


def find_or_add_user(session: Session, name: str, now: datetime) -> UserRow:
    """The user of this name."""
    user = session.scalar(select(UserRow).where(UserRow.name == name))
    if user is None:
        user = UserRow(id=new_id(), name=name, created_at=now)
        session.add(user)
        session.flush()
    return user


def find_user(session: Session, name: str) -> UserRow:
    """The user of this name. Raises UserError where there is none."""
    user = session.scalar(select(UserRow).where(UserRow.name == name))
    if user is None:
        raise UserError(f"there is no user {name!r}{nearest(name, session.scalars(select(UserRow.name)))}")
    return user


def list_users(session: Session) -> Sequence[UserRow]:
    """All that there are, by name."""
    return session.scalars(select(UserRow).order_by(UserRow.name)).all()


def revoke_token(session: Session, id: str, now: datetime) -> TokenRow:
    """Have a token count no more, from now on. Raises UserError where there is none."""
    token = session.get(TokenRow, id)
    if token is None:
        known = session.scalars(select(TokenRow.id))
        raise UserError(f"there is no token {id!r}{nearest(id, known)}; see `tuner token ls`")
    token.revoked_at = token.revoked_at or now
    return token


def list_tokens(session: Session) -> Sequence[TokenRow]:
    """All that there have been, the oldest first."""
    return session.scalars(select(TokenRow).order_by(TokenRow.created_at, TokenRow.id)).all()


def any_token(session: Session) -> bool:
    """Whether one has ever been made: from then on everybody is asked for one."""
    return bool(session.scalar(select(exists(select(TokenRow.id)))))


def caller_with(session: Session, text: str, now: datetime) -> Caller | None:
    """Whose token this is; None: it does not count."""
    sha256 = _sha256(text)
    token = session.scalar(select(TokenRow).where(TokenRow.sha256 == sha256))
    if token is None or not secrets.compare_digest(token.sha256, sha256):
        return None
    return _caller(token, now)


def caller_of(session: Session, token_id: str, now: datetime) -> Caller | None:
    """Likewise by a token's id, as a login of the pages keeps it."""
    token = session.get(TokenRow, token_id)
    return _caller(token, now) if token else None


def note_use(session: Session, token_id: str, now: datetime) -> None:
    """Keep when a token was used last."""
    token = session.get(TokenRow, token_id)
    if token:
        token.last_used_at = now


def _caller(token: TokenRow, now: datetime) -> Caller | None:
    is_over = token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now)
    if is_over or token.user.is_disabled:
        return None
    return Caller(token.user_id, token.user.name, token.scope, token.id)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
