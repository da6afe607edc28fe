"""An Optuna-only script: trials one after another in one process, beside which another loads pictures.

python -m benchmarks.peers.optuna_only JOB.json OUTCOMES.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import optuna
import torch

from benchmarks.peers.loop import train


def main(job_file: Path, out: Path) -> None:
    job = json.loads(job_file.read_text())
    torch.set_num_threads(1)
    files = {name: Path(job[name]) for name in ("table", "weights")}
    options = {name: job[name] for name in ("image_size", "epochs", "augment")} | {"loaders": 1}
    outcomes = []

    def objective(trial: optuna.Trial) -> float:
        params = job["trials"][trial.suggest_int("number", 0, len(job["trials"]) - 1)]
        epochs = []
        for epoch, metrics in enumerate(train(params, **files, **options)):
            trial.report(metrics["f2_macro"], epoch)
            epochs.append(metrics)
        outcomes.append({"params": params, "epochs": epochs})
        return max(metrics["f2_macro"] for metrics in epochs)

    study = optuna.create_study(direction="maximize")
    for number in range(len(job["trials"])):
        study.enqueue_trial({"number": number})
    study.optimize(objective, n_trials=len(job["trials"]))
    out.write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
