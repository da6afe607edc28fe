"""ClearML: a task for the search and one for each trial, which ClearML's own pages compare."""

from __future__ import annotations

import os
from pathlib import Path

from tuner.store import Store
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import Tracker, TrackerKind, UnreachableError


def _is_configured() -> bool:
    return "CLEARML_API_ACCESS_KEY" in os.environ or Path("~/clearml.conf").expanduser().exists()


def _reach() -> str:
    raise UnreachableError("to be written")


def _open(store: Store, cursor: Cursor) -> Tracker:
    raise UnreachableError("to be written")


CLEARML = TrackerKind(
    name="clearml",
    shown="ClearML",
    is_configured=_is_configured,
    hint="off, since ClearML is not configured; see docs/tracking.md",
    reach=_reach,
    open=_open,
)
