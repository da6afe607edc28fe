"""Where results are said to lie: a folder, or a URL that every node reaches."""

from __future__ import annotations

from pathlib import Path

Place = Path | str
"""a folder, or a URL such as `s3://bucket/results`"""

_FILE = "file://"


def is_url(given: Place) -> bool:
    """Whether it is a URL of a store that every node reaches; `file://` is a folder."""
    return "://" in str(given) and not str(given).startswith(_FILE)


def as_place(given: Place) -> Place:
    """A URL without a slash at its end, or a path."""
    text = str(given)
    if is_url(given):
        return text.rstrip("/")
    return Path(text.removeprefix(_FILE))


def beneath(place: Place, name: str) -> Place:
    """What has this name in a folder or under a URL."""
    return f"{place}/{name}" if isinstance(place, str) else place / name


def split_place(place: Place) -> tuple[Place, str]:
    """What `beneath` has put together."""
    if isinstance(place, str):
        above, _, name = place.rpartition("/")
        return above, name
    return place.parent, place.name
