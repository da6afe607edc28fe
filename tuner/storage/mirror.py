"""What a search writes is brought home while it runs, beside it: its loop never waits for that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

REST_SECONDS = 5.0
"""between two times"""


class Mirror:
    """Does this work again and again from a thread of its own; what fails is tried again the next time."""

    def __init__(self, *works: Callable[[], None]) -> None:
        self._works = works
        self._trouble = ""
        self._told = False
        self.troubled = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def remarks(self) -> list[str]:
        """What went wrong first, once."""
        if not self.troubled.is_set() or self._told:
            return []
        self._told = True
        return [f"files are not brought home for now, which is tried again: {self._trouble}"]

    def __enter__(self) -> Mirror:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(REST_SECONDS):
            try:
                for work in self._works:
                    work()
            except OSError as error:  # also a file that has just gone, a folder that cannot be read
                self._trouble = str(error)
                self.troubled.set()
