"""Our whole search around trials that do nothing: Ray, driver, sampler, event log, study.db, tables.

    python -m benchmarks.noop_search TRIALS REPORTS FOLDER

Nothing is proved, prepared or trained, and no predictions are there to compare; all else is as in `tuner search`. The
log is in FOLDER/results/ours, as a search's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search_spaces.document import write_yaml
from search_spaces.space import load_space
from trainable.job import EpochReport
from trainable.metrics import REPORTED, parse_objective
from tuner.config import Resources
from tuner.evidence.gathering import Gatherer
from tuner.interruption import Interruption
from tuner.ray_backend.allowance import Allowance
from tuner.ray_backend.driver import search_driver
from tuner.ray_backend.session import ray_session
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.study import StudyMirror
from tuner.ray_backend.tune_loop import run_phases
from tuner.ray_backend.worker import Assignment, TrialActor
from tuner.report.writer import OutputWriter
from tuner.store import Store

LABELS = ("one", "two", "three", "four", "five", "six")
SPACE: dict[str, Any] = {
    "version": 1,
    "about": "trials that do nothing",
    "objective": "f2_macro",
    "sampler": "tpe",
    "scheduler": "none",
    "fixed": {"backbone": "resnet18", "pretrained": False, "image_size": 96},
    "baseline": {},
    "axes": {
        "optimizer.lr": {"float": [1e-5, 1e-2], "log": True},
        "optimizer.weight_decay": {"float": [0.0, 0.1]},
        "head.kind": {"choice": ["linear", "mlp"]},
        "schedule.kind": {"choice": ["constant", "cosine"]},
        "loss.pos_weight": {"choice": ["none", "balanced"]},
    },
}


class NoopActor(TrialActor):
    """Reports what no training came to."""

    def setup(self, config: dict[str, Any]) -> None:
        self._epochs = config["config"]["epochs"]
        self._value = config["config"]["optimizer"]["lr"] * 100
        self._epoch = 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._epoch += 1
        report = report_of(int(self._epoch), self._epochs, self._value)
        return {"report": json.dumps(asdict(report)), "done": report.status != "running"}

    def cleanup(self) -> None:
        """There is nothing to free."""


def report_of(epoch: int, epochs: int, value: float) -> EpochReport:
    """As long as a real one; no epoch is better than the first."""
    metrics = dict.fromkeys(REPORTED, value)
    first = epoch == 1
    fields: dict[str, Any] = {
        "epoch": epoch,
        "step": epoch,
        "value": value,
        "best_value": value,
        "best_epoch": 1,
        "val": metrics,
        "train_loss": 0.5,
        "train_loss_weighted": 0.5,
        "lr": 1e-3,
        "seconds": 1.0,
        "images_per_second": 1000.0,
        "peak_memory_gib": 1.0,
        "trained_parameters": 1,
        "total_parameters": 1,
        "device": "cpu",
        "status": "complete" if epoch == epochs else "running",
        "node": "here",
        "gpu_memory_gib": None,
        "per_label": dict.fromkeys(LABELS, metrics) if first else {},
        "thresholds": [0.5] * len(LABELS) if first else [],
    }
    return EpochReport(**fields)


def main(trials: int, reports: int, folder: Path) -> None:
    file = folder / "space.yaml"
    file.write_text(write_yaml(SPACE | {"fixed": SPACE["fixed"] | {"epochs": reports}}))
    space = load_space(file)
    objective = parse_objective(space.objective)
    with ray_session():
        store = Store.create(folder / "results", "ours")
        assignment = Assignment(
            folder=str(store.folder),
            root=str(folder),
            labels=list(LABELS),
            task="multilabel",
            data_seed=0,
            objective=space.objective,
            weights={},
            threads=1,
            patience_from_epoch=0,
        )
        driver = search_driver(
            store,
            space,
            objective,
            assignment,
            trials=trials,
            seed=0,
            allowance=Allowance(),
            weights_sha256={},
            split_sizes={"train": 1, "val": 1},
        )
        writer, mirror = OutputWriter(store, 3, Gatherer(store)), StudyMirror(store.study_db, space)
        with store.lock():
            store.append(
                "search_started",
                name="noop",
                task="multilabel",
                labels=list(LABELS),
                axes=list(space.axes),
                objective={"metric": objective.metric, "direction": objective.direction},
            )
            writer.start()
            mirror.start()
            store.listeners += [writer.put, mirror.put]
            run_phases([driver], Slots(Resources(workers=1)), store.ray / "trials", Interruption(), actor=NoopActor)
            store.append("search_ended", status="complete", reason="")
            store.listeners.clear()
            mirror.close()
            writer.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
