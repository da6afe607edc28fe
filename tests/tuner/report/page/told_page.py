"""A search on disk that nobody ran, with images, predictions and names that would like to be markup; and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from parsed_html import HOSTILE
from PIL import Image
from ruamel.yaml import YAML

from trainable.data.splits import SplitRow, write_splits
from tuner.evidence.gathering import gather
from tuner.report.page.writing import page_html
from tuner.store import Store

LABELS = ("cat", HOSTILE, "no")
IMAGES = 20
"""of each split"""
SPLITS = ("train", "val")
SPACE = """# <b>ours</b>
axes:
  backbone: {choice: [lite0, lite1]}
  optimizer.lr: {float: [1.0e-5, 1.0e-2], log: true}
"""


class ToldSearch:
    """Multi-label; the baseline t0001, better ones t0002 and t0003, a pruned t0004, a failed t0005."""

    def __init__(self, folder: Path, task: str = "multilabel") -> None:
        self.root = folder / "images"
        self.store = Store.create(folder / "results", "told")
        self.task = task
        self._write_data()
        self._begin()
        for number, (values, status, right) in enumerate(
            [
                ((0.3, 0.5), "complete", 10),
                ((0.4, 0.7), "complete", 14),
                ((0.5, 0.65), "early_stopped", 13),
                ((0.2,), "pruned", None),
                ((), "failed", None),
            ],
            start=1,
        ):
            self.log_trial(number, values, status, right)

    def _write_data(self) -> None:
        self.root.mkdir()
        rows = []
        for split in SPLITS:
            for number in range(IMAGES):
                name = f"{split}-{number:02}.png"
                size = (60, 30) if number % 2 else (30, 60)
                Image.new("RGB", size, (10 * number, 99, 99)).save(self.root / name)
                labels = ("cat", HOSTILE) if number % 4 == 0 else ("cat",) if number % 2 else (HOSTILE,)
                twin = "t" * 64 if number == 3 else f"{split}{number}"
                rows.append(SplitRow(name, split, "", twin, labels[:1] if self.task == "multiclass" else labels))
        write_splits(self.store.splits, rows)

    def _begin(self) -> None:
        with self.store.search_yaml.open("w") as file:
            YAML().dump({"space": SPACE}, file)
        sizes = dict.fromkeys(SPLITS, IMAGES)
        self.store.append(
            "search_started",
            name="told",
            command="tuner search 'a <space>' --data x",
            space="quick",
            about=HOSTILE,
            axes=["backbone", "optimizer.lr"],
            task=self.task,
            objective={"metric": "accuracy", "direction": "maximize"},
            sampler="random",
            scheduler={"kind": "none"},
            trials=5,
            labels=list(LABELS),
            data={
                "root": str(self.root),
                "hash": "0123456789abcdef" * 4,
                "sizes": sizes,
                "pixels": {"min": [30, 30], "max": [60, 60]},
                "modes": {"RGB": 40},
                "warnings": [f"row: {HOSTILE}"],
                "data_seed": 3,
            },
            seed=7,
            versions={"torch": "2.9.0"},
        )

    def log_trial(self, number: int, values: tuple[float, ...], status: str, right: int | None = None) -> None:
        """One after another, with predictions that are right on so many validation images."""
        id, best = f"t{number:04}", None
        params: dict[str, Any] = {"backbone": f"lite{number % 2}", "optimizer.lr": 10.0**-number}
        config = {
            "backbone": params["backbone"],
            "freeze": "all",
            "optimizer": {"kind": "adamw", "lr": params["optimizer.lr"]},
        }
        blocks = {"freeze_blocks": 9, "total_blocks": 9}
        self.store.append(
            "trial_started", id, number=number - 1, config=config, params=params, baseline=number == 1, **blocks
        )
        for epoch, value in enumerate(values, start=1):
            best = value if best is None else max(best, value)
            known = {"best_value": best, "best_epoch": epoch, "val": {"accuracy": best, "loss": 0.5}, "seconds": 1.5}
            self.store.append("epoch", id, epoch=epoch, value=value, total_parameters=100 * number, **known)
        if right is not None:
            self._predict(id, right)
        self.store.append("trial_ended", id, status=status, error="CUDA <b>" if status == "failed" else None)

    def _predict(self, id: str, right: int) -> None:
        """Surer of an image the lower its number; wrong on the last ones."""
        sureness = np.linspace(4, 1, IMAGES)[:, None]
        true = np.zeros((IMAGES, len(LABELS)), dtype=np.float32)
        true[:, 0] = 1
        signs = np.where((np.arange(IMAGES) < right)[:, None], 2 * true - 1, 1 - 2 * true)
        signs[:, 2] = -1
        targets = np.zeros(IMAGES, dtype=np.int64) if self.task == "multiclass" else true
        path = self.store.predictions(id)
        path.parent.mkdir(exist_ok=True)
        ids = np.array([f"val-{number:02}.png" for number in range(IMAGES)])
        logits = (sureness * signs).astype(np.float32)
        np.savez(path, logits=logits, targets=targets, ids=ids, labels=np.array(LABELS))

    def end(self) -> None:
        self.store.append("search_ended", status="complete")

    def html(self, conclusions: str = "", top: int | None = None) -> str:
        record = self.store.record()
        return page_html(self.store, record, gather(self.store, record), conclusions, top)
