"""When tests of the service play."""

from __future__ import annotations

from datetime import UTC, datetime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
