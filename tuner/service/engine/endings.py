"""What becomes of a search whose driver is gone: nothing here acts."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.changes import IS_NOT_WHAT_IT_WAS
from tuner.service.database.rows import Desired, State
from tuner.service.engine.told import Told

MOST_ATTEMPTS = 3
"""to begin or go on, one after another, that bring no trial to its end"""
CHANGED = "it is not what it was when it was left; resume it with accept_changes, which records that"
BEING_RUN = "is being run by"
"""in what a driver says that finds another one at work"""


@dataclass(frozen=True)
class Gone:
    """A driver that is gone, and what is known of it."""

    told: Told
    """in the search's log since it was started"""
    mistake: str = ""
    """that it has printed last"""
    exit_code: int | None = None
    """None: nobody knows"""
    desired: Desired = "run"
    was_asked: bool = False
    """to stop, by the engine"""
    lost_ray: bool = False
    """the Ray that it had joined is gone as well"""
    attempts: int = 1
    """with it"""


@dataclass(frozen=True)
class Ending:
    """How the search is now."""

    state: State
    reason: str = ""
    attempts: int = 0
    """that count from now on"""
    has_changed: bool = False
    """whether it goes on only when its changes are accepted, or undone"""


def ending_of(gone: Gone) -> Ending:
    """How a search is without its driver: as its log says, or begun again where the end was not the driver's own."""
    told = gone.told
    attempts = 0 if told.progressed else gone.attempts
    if told.status == "complete":
        return Ending("complete")
    if gone.desired != "run":
        return Ending("stopped", told.reason if told.status == "stopped" else "stopped as was asked")
    if gone.was_asked:
        return Ending("queued", "it was stopped to be begun again", attempts=max(0, attempts - 1))
    if told.status == "failed" and not (told.ray_is_gone or gone.lost_ray):
        return Ending("failed", told.reason)
    if told.status == "stopped":
        return Ending("stopped", told.reason)
    if not told.began and IS_NOT_WHAT_IT_WAS in gone.mistake:
        changes = gone.mistake.partition(":; ")[2] or gone.mistake
        return Ending("stopped", f"{CHANGED}: {changes}", has_changed=True)
    if not told.began and gone.mistake:
        if BEING_RUN in gone.mistake:
            return Ending("queued", gone.mistake, attempts=max(0, attempts - 1))
        if not gone.lost_ray:
            return Ending("failed", gone.mistake)
    return _again(_why(gone), attempts)


def _again(why: str, attempts: int) -> Ending:
    if attempts >= MOST_ATTEMPTS:
        return Ending("failed", f"{why}, {attempts} times in a row; `resume` tries again")
    return Ending("queued", f"{why}: it goes on", attempts)


def _why(gone: Gone) -> str:
    if gone.told.reason:
        return gone.told.reason
    if gone.lost_ray:
        return "the Ray that it ran on is gone"
    if gone.exit_code:
        how = f"by signal {-gone.exit_code}" if gone.exit_code < 0 else f"with exit code {gone.exit_code}"
        return f"its process has ended {how}"
    return "its process is gone"
