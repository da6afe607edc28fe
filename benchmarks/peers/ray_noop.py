"""Bare Ray Tune with actor reuse around trials that do nothing, as a class or as a function; nothing is
printed, all else is as Ray has it.

    python -m benchmarks.peers.ray_noop class|function TRIALS REPORTS OUT.json

Writes when each trial ended, in seconds since 1970.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

SPACE = {
    "lr": tune.loguniform(1e-5, 1e-2),
    "weight_decay": tune.uniform(0.0, 0.1),
    "head": tune.choice(["linear", "mlp"]),
    "schedule": tune.choice(["constant", "cosine"]),
    "pos_weight": tune.choice(["none", "balanced"]),
}


class Noop(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.value = config["lr"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, float]:
        return {"f2_macro": self.value}


class Clock(tune.Callback):
    """Notes when trials end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self.ends.append(time.time())


def main(kind: str, trials: int, reports: int, out: Path) -> None:
    def noop(config: dict[str, Any]) -> None:
        for _ in range(reports):
            tune.report({"f2_macro": config["lr"]})

    ray.init(address="local", num_cpus=1, include_dashboard=False)
    clock = Clock()
    run = tune.RunConfig(
        storage_path=str(out.parent / "ray"),
        stop={"training_iteration": reports},
        callbacks=[clock],
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # there is nothing to keep
        verbose=0,
    )
    settings = tune.TuneConfig(num_samples=trials, reuse_actors=True)
    trainable = tune.with_resources(Noop if kind == "class" else noop, {"cpu": 1})
    results = tune.Tuner(trainable, param_space=SPACE, run_config=run, tune_config=settings).fit()
    assert len(results) == trials
    assert not results.errors
    out.write_text(json.dumps(clock.ends))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
