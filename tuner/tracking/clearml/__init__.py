"""ClearML: a task for the search and one for each trial, which ClearML's own pages list and compare."""

from __future__ import annotations

import os
from pathlib import Path

from tuner.store import Store
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import Tracker, TrackerKind

_VARIABLES = ("API_HOST", "API_ACCESS_KEY", "AUTH_TOKEN", "CONFIG_FILE")
_FILES = ("~/clearml.conf", "~/trains.conf")


def _is_configured() -> bool:
    named = any(os.environ.get(f"{prefix}_{name}") for prefix in ("CLEARML", "TRAINS") for name in _VARIABLES)
    return named or any(Path(file).expanduser().exists() for file in _FILES)


def _reach() -> str:
    from tuner.tracking.clearml.server import Server

    return Server().web


def _open(store: Store, cursor: Cursor) -> Tracker:
    from tuner.tracking.clearml.server import Server
    from tuner.tracking.clearml.tracker import ClearMLTracker

    return ClearMLTracker(Server(), store, cursor)


CLEARML = TrackerKind(
    name="clearml",
    shown="ClearML",
    is_configured=_is_configured,
    hint="ClearML is not configured, so nothing is sent there: `clearml-init` does that; `--tracking off` says no more",
    reach=_reach,
    open=_open,
)
