"""Records of searches that never ran, and their predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.report.plots.source import Source
from tuner.store import Store

LABELS = ("cat", "dog", "owl")


def trial(
    number: int,
    values: Sequence[float | None] = (),
    status: str = "complete",
    params: Mapping[str, Any] | None = None,
    epochs: Sequence[float] | None = None,
    worse: bool = False,
    **fields: Any,
) -> TrialRecord:
    """A trial with these objectives epoch by epoch; `worse`: lower ones are better. t0001 is the baseline."""
    best: float | None = None
    best_epoch: float | None = None
    records = []
    for step, (epoch, value) in enumerate(zip(epochs or range(1, len(values) + 1), values, strict=True), start=1):
        if value is not None and (best is None or (value < best if worse else value > best)):
            best, best_epoch = value, epoch
        losses = {"loss": 0.5 + 0.1 * step}
        records.append(EpochRecord(epoch, step, "", value, best, best_epoch, losses, train_loss=1 / step))
    config = {"backbone": (params or {}).get("backbone", "lite0"), "freeze": "all", "head": {"kind": "linear"}}
    known: dict[str, Any] = {
        "config": config | {"epochs": 9},
        "freeze_blocks": 9,
        "total_blocks": 9,
        "baseline": number == 0,
    }
    return TrialRecord(
        f"t{number + 1:04}", number, params=params or {}, status=status, epochs=tuple(records), **known | fields
    )


def search(*trials: TrialRecord, **fields: Any) -> SearchRecord:
    known = {"name": "pets", "metric": "f1_macro", "task": "multilabel", "labels": LABELS, "sampler": "random"}
    return SearchRecord(**known | fields, trials=trials)


def source(folder: Path, record: SearchRecord, **fields: Any) -> Source:
    """The record's search, in a folder that may hold predictions."""
    return Source(Store(folder), record, **fields)


def mixed_search(trials: int = 40, **fields: Any) -> SearchRecord:
    """Trials of every status, axes of every kind, values that are missing, one that is far off."""
    rng = np.random.default_rng(trials)
    far_off = 1e6 if fields.get("direction") == "minimize" else -1e6
    made = []
    for number in range(trials):
        kind = ("linear", "mlp")[number % 2]
        params = {"backbone": ("lite0", "lite2")[number % 3 > 0], "freeze": (0, "50%", "all")[number % 3]}
        params |= {"head.kind": kind, "optimizer.lr": float(10 ** rng.uniform(-5, -2))}
        params |= {"head.width": int(rng.integers(64, 512))} if kind == "mlp" else {}
        status = ("complete", "complete", "pruned", "early_stopped", "failed", "odd")[number % 6]
        values: list[float | None] = [*(0.4 + 0.4 * rng.random(4)), None] if status != "failed" else []
        made.append(trial(number, [far_off] if number == 6 else values, status, params, worse=far_off > 0))
    return search(*made, **fields)


def write_predictions(
    path: Path, logits: Any, targets: Any, labels: Sequence[str] = LABELS, decisions: Any = None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"logits": np.asarray(logits, np.float32), "targets": np.asarray(targets), "labels": np.array(labels)}
    arrays["ids"] = np.array([str(row) for row in range(len(arrays["logits"]))])
    with path.open("wb") as file:
        np.savez(file, **arrays | ({} if decisions is None else {"decisions": np.asarray(decisions, np.uint8)}))


def guessed(images: int, labels: int, multilabel: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that know something of their targets."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, labels))
    if multilabel:
        targets = (rng.random((images, labels)) < 0.4).astype(np.float32)
        return logits + 2 * targets - 1, targets
    classes = rng.integers(0, labels, images)
    logits[np.arange(images), classes] += 1.5
    return logits, classes


def close(one: float | None, other: float) -> bool:
    return one is not None and math.isclose(one, other, rel_tol=1e-6)
