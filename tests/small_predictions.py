"""Searches on disk that nobody trained: what a row gets right is written down."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tuner.records import SearchRecord
from tuner.store import Store

IMAGES = 60


class PredictedSearch:
    """A store with two labels and accuracy as its objective; every split has the same number of images."""

    def __init__(self, folder: Path, groups: Mapping[int, str] | None = None, **started: Any) -> None:
        self.store = Store.create(folder, "predicted")
        fields = {"objective": {"metric": "accuracy", "direction": "maximize"}, "data": {"data_seed": 3}} | started
        self.store.append("search_started", **fields)
        with self.store.splits.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "split", "group", "sha256", "labels"])
            for split in ("train", "val", "test"):
                for image in range(IMAGES):
                    writer.writerow([f"{split}{image}", split, (groups or {}).get(image, ""), "", "[]"])

    def score(self, name: str, right: np.ndarray, split: str = "val") -> float:
        """Write predictions that are right on these images; their accuracy."""
        targets = np.zeros((IMAGES, 2), dtype=np.float32)
        targets[:, 0] = 1
        logits = np.where(right[:, None], 2 * targets - 1, 1 - 2 * targets).astype(np.float32)
        path = self.store.predictions(name) if split == "val" else self.store.test_predictions(name)
        path.parent.mkdir(exist_ok=True)
        ids = np.array([f"{split}{image}" for image in range(IMAGES)])
        np.savez(path, logits=logits, targets=targets, ids=ids, labels=np.array(["a", "b"]))
        return float(right.mean())

    def log(
        self,
        name: str,
        value: float,
        status: str = "complete",
        baseline: bool = False,
        rerun: Mapping[str, Any] | None = None,
        **measured: Any,
    ) -> None:
        """A trial's events, without predictions; `measured` in its only epoch."""
        again = {"rerun": rerun} if rerun else {}
        self.store.append("trial_started", name, config={}, baseline=baseline, **again)
        values = {"value": value, "best_value": value, "best_epoch": 1, "val": {"accuracy": value}}
        self.store.append("epoch", name, epoch=1, **values, **measured)
        self.store.append("trial_ended", name, status=status)

    def add(self, name: str, right: np.ndarray, **fields: Any) -> None:
        """A trial with its predictions."""
        self.log(name, self.score(name, right), **fields)

    @property
    def record(self) -> SearchRecord:
        return self.store.record()


def right_on(*images: int | range) -> np.ndarray:
    """[images], true for these."""
    right = np.zeros(IMAGES, dtype=bool)
    for given in images:
        right[list(given) if isinstance(given, range) else given] = True
    return right
