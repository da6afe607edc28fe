"""The tables. Of a search, who submits writes what is wanted of it, and the engine alone how it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import JSON, Dialect, Double, ForeignKey, Index, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import DateTime, TypeDecorator

Desired = Literal["run", "stop", "delete"]
State = Literal["queued", "starting", "running", "stopping", "stopped", "complete", "failed", "deleted"]
Scope = Literal["read", "submit", "admin"]
DataState = Literal["empty", "inspecting", "ready", "refused"]

BUSY: tuple[State, ...] = ("starting", "running", "stopping")
"""states of a search that a process works on"""


class UtcTime(TypeDecorator[datetime]):
    """An instant. SQLite, which knows none, keeps it without its time zone, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Row(DeclarativeBase):
    """What all tables share: their constraints have names, by which migrations find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        datetime: UtcTime,
        float: Double(),
        dict[str, Any]: JSON(none_as_null=True),
        Desired: String(16),
        State: String(16),
        Scope: String(16),
        DataState: String(16),
    }


class UserRow(Row):
    """Somebody who submits searches."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime]
    max_running: Mapped[int | None]
    """searches at once; null: as many as the server runs"""
    gpu_hours: Mapped[float | None]
    """of all of the user's searches together; null: no limit"""
    is_disabled: Mapped[bool] = mapped_column(default=False)


class TokenRow(Row):
    """What a user shows. The token itself is kept nowhere."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    """told to everybody"""
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scope: Mapped[Scope]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    user: Mapped[UserRow] = relationship(lazy="joined")


class SearchRow(Row):
    """A search: what is wanted of it, written by who asks, and how it is, written by the engine."""

    __tablename__ = "searches"
    __table_args__ = (Index("ix_searches_submitted_at_id", "submitted_at", "id"),)

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    """of its folder in the results"""
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    """null: it was found in the results, and nobody has submitted it here"""
    submission: Mapped[dict[str, Any]]
    """as it was submitted; empty: it was found"""
    priority: Mapped[int] = mapped_column(default=0)
    submitted_at: Mapped[datetime]

    desired: Mapped[Desired]
    desired_at: Mapped[datetime]
    wish: Mapped[dict[str, Any] | None]
    """limits or an extension that it is to go on with"""
    wish_number: Mapped[int] = mapped_column(default=0)
    """of the latest wish"""

    state: Mapped[State] = mapped_column(index=True)
    state_since: Mapped[datetime]
    reason: Mapped[str] = mapped_column(default="")
    """why it is so, in words"""
    driver: Mapped[dict[str, Any] | None]
    """what the launcher finds its process by"""
    attempts: Mapped[int] = mapped_column(default=0)
    """times that it was begun since something was wanted of it last"""
    wish_begun: Mapped[int] = mapped_column(default=0)
    """the number of the latest wish that the search's log has"""
    refused_wish: Mapped[int | None]
    """the number of the wish that was refused since the search is not what it was, 0 where it was to go on as before;
    null: it is what it was, as far as is known"""
    exit_code: Mapped[int | None]
    deleted_at: Mapped[datetime | None]

    owner: Mapped[UserRow | None] = relationship(lazy="joined")

    @property
    def has_wish(self) -> bool:
        """Whether a wish is not begun yet."""
        return self.wish is not None and self.wish_number > self.wish_begun

    @property
    def has_changed(self) -> bool:
        """Whether it goes on only when its changes are accepted, or undone."""
        return self.refused_wish is not None and not self.has_wish


class DataSetRow(Row):
    """Labelled images that searches may name."""

    __tablename__ = "data_sets"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    path: Mapped[str]
    is_upload: Mapped[bool] = mapped_column(default=False)
    """the server keeps its files"""
    reading: Mapped[dict[str, Any]]
    """DataConfig's options"""
    state: Mapped[DataState]
    told: Mapped[dict[str, Any] | None]
    """what the inspection has found"""
    created_at: Mapped[datetime]

    owner: Mapped[UserRow | None] = relationship(lazy="joined")


class IdempotencyKeyRow(Row):
    """A submission that is not to be made twice."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    search_id: Mapped[str] = mapped_column(ForeignKey("searches.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]


class ServerRow(Row):
    """The one server that may begin and end searches: there is one row, of id 1."""

    __tablename__ = "servers"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    """counts the servers that there have been"""
    host: Mapped[str] = mapped_column(String(255))
    process: Mapped[dict[str, Any]]
    heartbeat_at: Mapped[datetime]
