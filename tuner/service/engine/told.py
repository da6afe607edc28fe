"""What a search's folder tells the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tuner.spending import time_spent
from tuner.storage.place import is_url
from tuner.store import Event, Store
from tuner.tolerant import integer, text

_TAIL_BYTES = 16384
_ERROR = "error: "
"""how a command's mistakes begin"""


@dataclass(frozen=True)
class Told:
    """Since an event of the log, by its number."""

    latest: int = 0
    """the number of the last event"""
    began: bool = False
    """whether a run has begun"""
    status: str = ""
    """how that run has ended; empty: it has not said"""
    reason: str = ""
    ray_is_gone: bool = False
    progressed: bool = False
    """whether that run has brought a trial to an end"""


def told_since(store: Store, number: int) -> Told:
    """What the log says after its event of this number; nothing where there is no log."""
    if not store.home.exists():
        return Told()
    latest, began, progressed = 0, False, False
    end: Event = {}
    for event in store.events():
        latest = integer(event.get("seq")) or latest
        if latest <= number:
            continue
        kind = event.get("kind")
        if kind in ("search_started", "search_resumed"):
            began, progressed, end = True, False, {}
        elif kind == "trial_ended":
            progressed = True
        elif kind == "search_ended":
            end = event
    ray_is_gone = end.get("ray_is_gone") is True
    return Told(latest, began, text(end.get("status")), text(end.get("reason")), ray_is_gone, progressed)


def has_begun(store: Store) -> bool:
    """Whether there is something to go on with: what was killed before that has left nothing that is of use."""
    if not store.home.exists():
        return False
    store.home.refresh()
    return store.search_yaml.exists()


def discard_unbegun(store: Store) -> None:
    """Make the name free again of a search that was killed before it had begun.

    Raises:
        UserError: a process holds it.
    """
    if has_begun(store):
        return
    if store.home.exists():
        with store.lock():
            store.home.remove(*store.home.paths(store.folder))
    if not is_url(store.place) and store.folder.is_dir():
        for folder in sorted(store.folder.rglob("*"), reverse=True):
            folder.rmdir() if folder.is_dir() else folder.unlink()
        store.folder.rmdir()


def gpu_hours_ever(store: Store) -> float:
    """That a search's trials have taken, whatever it was granted in between."""
    if not store.home.exists():
        return 0.0
    return time_spent({**event, "granted": None} for event in store.events()).gpu_hours


def last_error(output: Path, begin: int) -> str:
    """The mistakes that a driver has printed last, in one line; empty: its last line is none.

    Args:
        begin: where in the file its output begins, in bytes
    """
    lines = [line for line in _tail(output, begin).splitlines() if line.strip()]
    mistakes: list[str] = []
    while lines and lines[-1].startswith(_ERROR):
        mistakes.insert(0, lines.pop().removeprefix(_ERROR))
    return "; ".join(mistakes).replace(":; ", ": ")  # after a line that says what the next ones are


def _tail(output: Path, begin: int) -> str:
    try:
        with output.open("rb") as file:
            file.seek(max(begin, output.stat().st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
