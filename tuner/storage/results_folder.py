"""What holds all searches: a folder, or a URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainable.errors import UserError
from tuner.storage.home import EVENTS_LOG
from tuner.storage.homes import home_at
from tuner.storage.place import Place, as_place, beneath


def require_results(results: Place) -> None:
    """Find out that there can be searches in it.

    Raises:
        UserError: it is a file, or a URL that cannot be used: no bucket, no credentials, no answer, no package.
    """
    place = as_place(results)
    if isinstance(place, str):
        from tuner.storage.objects import open_objects

        open_objects(place).reach()
    elif place.is_file():
        raise UserError(f"results folder {str(results)!r} is a file; give another with --results")


def searches_in(results: Place) -> list[Place]:
    """The searches, by name; none where there is no such folder."""
    place = as_place(results)
    if isinstance(place, str):
        from tuner.storage.objects import open_objects

        require_results(place)
        found = [beneath(place, name) for name in open_objects(place).folders()]
        return [search for search in found if home_at(search).exists()]
    return [log.parent for log in sorted(place.glob(f"*/{EVENTS_LOG}"))] if place.is_dir() else []


@contextmanager
def edited(results: Place, name: str) -> Iterator[Path]:
    """A file beside the searches, to be read and written anew."""
    place = as_place(results)
    if isinstance(place, Path):
        yield place / name
        return
    from tuner.storage.object_home import local_folder
    from tuner.storage.objects import open_objects

    objects, file = open_objects(place), local_folder(place) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        objects.download(name, file)
    yield file
    objects.upload(file, name)
