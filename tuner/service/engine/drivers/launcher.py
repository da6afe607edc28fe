"""What begins a search's driver, finds it again and ends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Handle = Mapping[str, Any]
"""what a driver is found by, as it lies in the search's row"""


class Launcher(Protocol):
    """Drivers are known by a key, of which no two are alive at once, and by the handle that `start` gives."""

    def start(self, key: str, arguments: Sequence[str], output: Path) -> Handle:
        """Run `tuner` with these arguments; what it prints is added to the file. Raises OSError."""
        ...

    def find(self, key: str) -> Handle | None:
        """A driver that was started, though nobody has kept its handle; None: there is none."""
        ...

    def lives(self, handle: Handle) -> bool: ...

    def exit_code(self, handle: Handle) -> int | None:
        """Of one that is gone; None: nobody knows."""
        ...

    def terminate(self, handle: Handle) -> None:
        """Ask it to end; nothing where it is gone."""
        ...

    def kill(self, handle: Handle) -> None:
        """End it at once, with all that it has started; nothing where it is gone."""
        ...
