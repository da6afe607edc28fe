"""A trial's files on the node that it is trained on, and at home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.storage.home import Home

if TYPE_CHECKING:
    from trainable.job import TrialFiles


class TrialCopies:
    """Fetches a trial's files before it goes on here, brings them home as they change, and frees the node of them."""

    def __init__(self, home: Home, files: TrialFiles) -> None:
        self._home = home
        self._paths = (files.checkpoints, files.predictions, files.test_predictions)

    def fetch(self) -> None:
        """Have the files as they are at home, where another node may have written them.

        Raises:
            OSError: they cannot be read there.
        """
        self._home.pull(*self._paths)

    def bring_home(self) -> str:
        """Have the home hold the files as they are; else what is to be told of it: the next time may do."""
        try:
            self._home.push(*self._paths)
        except OSError as error:
            return f"a node cannot bring a trial's files home for now, which is tried again: {error.strerror or error}"
        return ""

    def leave(self) -> None:
        """Bring home what was written last, and free the node of what is there."""
        if not self.bring_home():
            self._home.let_go(*self._paths)
