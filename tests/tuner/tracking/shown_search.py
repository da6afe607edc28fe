"""Searches shown to a tracker."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from tuner.store import Store
from tuner.tracking.showing import Showing
from tuner.tracking.trackers import TRACKERS


def show_once(store: Store, tracker: str = "clearml") -> bool:
    """What a tracker's process does at the end of a search; whether all was shown."""
    ending = threading.Event()
    ending.set()
    return Showing(Store(store.folder), TRACKERS[tracker], ending).run()


def predict(path: Path, targets: list[Any], logits: list[list[float]]) -> None:
    """Write predictions on as many images, of the labels `a <b>` and `b`."""
    path.parent.mkdir(exist_ok=True)
    ids = [f"{image}.png" for image in range(len(targets))]
    np.savez(path, ids=ids, labels=["a <b>", "b"], targets=np.array(targets), logits=np.array(logits, dtype=np.float32))
