"""What a tracker is: it shows a search somewhere else, of which nothing is ever read back into a trial's config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.store import Store
from tuner.tracking.cursor import Cursor


class UnreachableError(Exception):
    """What a tracker sends to does not answer, or refuses; the same call may do later. Its text says why."""


@dataclass(frozen=True)
class News:
    """What a log has told since a tracker last showed its search."""

    search: bool
    """whether it was about the search itself, that it begins, goes on or ends"""
    trials: Mapping[str, tuple[EpochRecord, ...]]
    """trial or rerun that something has changed of -> its new epochs; an epoch may be one that is done again"""

    def of(self, search: SearchRecord) -> list[tuple[TrialRecord, tuple[EpochRecord, ...]]]:
        """The changed trials as they are by now, in the order asked, each with its new epochs."""
        trials = (*search.trials, *search.reruns)
        return [(trial, self.trials[trial.id]) for trial in trials if trial.id in self.trials]


@dataclass(frozen=True)
class Aborted:
    """What people have aborted where a tracker shows it."""

    search: bool = False
    trials: frozenset[str] = frozenset()


class Tracker(Protocol):
    """One search as it is shown elsewhere. Lives in a process of its own that may be killed at any moment.

    So whatever was shown before may come again, in part or whole: that must change nothing. What a tracker has to
    remember, such as the id that something was given, is in its cursor.
    """

    def show(self, search: SearchRecord, news: News) -> None:
        """Bring what is shown in line; returns once nothing of it can be lost.

        The first time, `news` names all trials: what an earlier process has shown of them is to be found in the cursor.

        Raises:
            UnreachableError: not all of it could be shown; it comes again.
        """
        ...

    def finish(self, search: SearchRecord) -> None:
        """Show what the search has left as files too: its process is about to end, and they are written.

        Raises:
            UnreachableError: as `show`.
        """
        ...

    def aborted(self) -> Aborted:
        """What has been aborted there since it was shown as running; asked now and then while the search runs.

        Raises:
            UnreachableError: this cannot be found out now.
        """
        ...

    def close(self) -> None:
        """Let go of everything; at once."""
        ...


@dataclass(frozen=True)
class TrackerKind:
    """A row of TRACKERS. Its functions import what they need themselves: the table is read by every command."""

    name: str
    """by which `tracking:` names it, and of its files in tracking/"""
    shown: str
    """what people call it"""
    is_configured: Callable[[], bool]
    """whether `auto` has it; takes no time"""
    hint: str
    """how to configure it, for who has not"""
    reach: Callable[[], str]
    """where it sends to, having found out within a few seconds that this answers; raises UnreachableError"""
    open: Callable[[Store, Cursor], Tracker]
    """called once it answers; raises UnreachableError"""
