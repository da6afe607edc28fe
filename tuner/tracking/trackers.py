"""The trackers there are, and which of them a search is to have."""

from __future__ import annotations

from trainable.errors import UserError, nearest
from tuner.tracking.clearml import CLEARML
from tuner.tracking.mlflow import MLFLOW
from tuner.tracking.protocol import TrackerKind
from tuner.tracking.tensorboard import TENSORBOARD
from tuner.tracking.wandb import WANDB

TRACKERS: dict[str, TrackerKind] = {kind.name: kind for kind in (CLEARML, TENSORBOARD, MLFLOW, WANDB)}
"""a row each, made in the tracker's own file"""
AUTO, OFF = "auto", "off"


def parse_tracking(given: str) -> str:
    """`auto`, `off`, or trackers by name with commas between them, each once.

    Raises:
        ValueError: there is no such tracker.
    """
    names = list(dict.fromkeys(part.strip() for part in given.split(",")))
    if names in ([AUTO], [OFF]):
        return names[0]
    for name in names:
        if name not in TRACKERS:
            known = ", ".join((AUTO, OFF, *TRACKERS))
            raise ValueError(f"there is no tracker {name!r}; give {known}{nearest(name, (AUTO, OFF, *TRACKERS))}")
    return ",".join(names)


def given_tracking(given: str) -> str:
    """As `parse_tracking`, of what a command was given. Raises UserError."""
    try:
        return parse_tracking(given)
    except ValueError as error:
        raise UserError(f"--tracking {given!r}: {error}") from None


def wanted_trackers(tracking: str) -> list[TrackerKind]:
    """What `parse_tracking` gave stands for."""
    if tracking == AUTO:
        return [kind for kind in TRACKERS.values() if kind.is_configured()]
    return [] if tracking == OFF else [TRACKERS[name] for name in tracking.split(",")]
