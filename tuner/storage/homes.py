"""Which home a place is."""

from __future__ import annotations

from pathlib import Path

from tuner.storage.home import Home
from tuner.storage.local_home import LocalHome
from tuner.storage.place import Place, as_place


def home_at(given: Place, *, of_workers: bool = False) -> Home:
    """The home of the search in this folder or under this URL.

    Args:
        of_workers: its `folder` is for what this machine's workers write, where that is not the home itself

    Raises:
        UserError: a URL of a kind that nothing here can read.
    """
    place = as_place(given)
    if isinstance(place, Path):
        return LocalHome(place)
    from tuner.storage.object_home import ObjectHome

    return ObjectHome(place, of_workers=of_workers)
