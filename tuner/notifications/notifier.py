"""Telling people of a search: when little is left of its budget, and when it has ended, however it did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from tuner.evidence.gathering import Evidence, Gatherer
from tuner.notifications.delivery import Channel, deliver
from tuner.notifications.messages import Message, told_of_budget, told_of_end, trials_nearly_through
from tuner.replay import Replay
from tuner.store import Event, Store


class Notifier:
    """Follows a search's log, as the last of its listeners; messages go out from a thread beside it.

    What could not be delivered is a note in the log. Without channels it does nothing.
    """

    def __init__(self, store: Store, channels: Sequence[Channel], nearly_used_up: Callable[[], str]) -> None:
        """
        Args:
            nearly_used_up: tells what little is left of, as `Allowance.nearly_used_up`
        """
        self._store = store
        self._channels = channels
        self._nearly_used_up = nearly_used_up
        self._so_far = Replay()
        self._sending: threading.Thread | None = None
        self._failures: list[str] = []
        self._has_ended = False
        for event in store.events() if channels else ():  # of earlier runs
            self._so_far.add(event)

    def put(self, event: Event) -> None:
        """Take in the log's next event; returns at once."""
        if not self._channels:
            return
        self._so_far.add(event)
        if self._sending is None and (spent := self._spent(event)):
            message = told_of_budget(self._so_far.record(), spent, self._store.place)
            self._sending = threading.Thread(target=self._send, args=(message,), name="notifier", daemon=True)
            self._sending.start()
        self._has_ended = event["kind"] == "search_ended"
        self._note_failures()

    def end(self, gatherer: Gatherer | None = None) -> None:
        """Tell how the search has ended, unless nobody has heard that it has; waits for that, not for long.

        Args:
            gatherer: None: trials are ranked by value
        """
        if not self._has_ended:
            return
        search = self._so_far.record()
        evidence = Evidence(ranks=search.ranks())
        with suppress(Exception):  # of a search that has failed, anything may be broken
            evidence = gatherer.evidence(search) if gatherer else evidence
        self._send(told_of_end(search, evidence, self._store.place))
        if self._sending is not None:
            self._sending.join()
        with suppress(OSError):  # the search has ended as it has
            self._note_failures()

    def _spent(self, event: Event) -> str:
        if event["kind"] == "trial_ended" and (spent := trials_nearly_through(self._so_far.record())):
            return spent
        return self._nearly_used_up()

    def _send(self, message: Message) -> None:
        self._failures += deliver(self._channels, message)

    def _note_failures(self) -> None:
        while self._failures:
            self._store.append("note", text=self._failures.pop(0))
