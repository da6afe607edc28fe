"""Workers that do not leave in time when a search is stopped: to leave, each has to come to the end of its step."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

from tuner.interruption import Interruption

LEAVE_SECONDS = 5.0
"""that workers have: an epoch may take hours, and a stopped search is to hold no GPU after 10 seconds"""
_LOOK_SECONDS = 0.5


@contextmanager
def ending_workers(interrupted: Interruption, actors: Iterable[Any]) -> Iterator[None]:
    """Have the workers killed that are still there some seconds after an interruption.

    Their trials are paused by then, and go on from their last checkpoints.

    Args:
        actors: Ray's handles of those that are there; it changes
    """
    done = threading.Event()

    def watch() -> None:
        while not interrupted.is_set():
            if done.wait(_LOOK_SECONDS):
                return
        if not done.wait(LEAVE_SECONDS):
            for actor in list(actors):
                ray.kill(actor)

    watching = threading.Thread(target=watch, name="ending-workers", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
