"""Plain Ray Tune: a trial is a training function, two of them at once, a thread each; Ray's own defaults otherwise.

python -m benchmarks.peers.ray_tune JOB.json OUTCOMES.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def trial(config: dict[str, Any]) -> None:
    import torch
    from ray import tune

    from benchmarks.peers.loop import train

    torch.set_num_threads(1)
    job = config["job"]
    paths = {name: Path(job[name]) for name in ("table", "weights")}
    options = {name: job[name] for name in ("image_size", "epochs", "augment")}
    for metrics in train(config["params"], **paths, **options):
        tune.report(metrics)


def main(job_file: Path, out: Path) -> None:
    import ray
    from ray import tune

    job = json.loads(job_file.read_text())
    ray.init(address="local", num_cpus=2, include_dashboard=False)
    space = {"job": job, "params": tune.grid_search(job["trials"])}
    run = tune.RunConfig(storage_path=str(out.parent / "ray"), name="peer")
    results = tune.Tuner(tune.with_resources(trial, {"cpu": 1}), param_space=space, run_config=run).fit()
    outcomes = []
    for result in results:
        if result.error:
            raise result.error
        epochs = result.metrics_dataframe[["loss", "f2_macro"]].to_dict("records")
        outcomes.append({"params": result.config["params"], "epochs": epochs})
    out.write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
