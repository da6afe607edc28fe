"""The trials of a freeze sweep through `train_trial`, one after another in this process, on one thread.

    python -m benchmarks.sweep_trials shared|unshared|blocks JOB.json OUTCOMES.json

`unshared` tells every trial that nobody wants its features: they are then computed each time, even within a trial.
`blocks` trains nothing: it times what the other two are made of, in plain PyTorch.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from trainable.classifier import build_classifier
from trainable.config import TrialConfig, parse_config
from trainable.data.dataset import ImageDataset, open_dataset
from trainable.data.splits import write_splits
from trainable.job import TrialFiles, TrialJob
from trainable.metrics import parse_objective
from trainable.prefix.planner import Sharing
from trainable.train import train_trial
from trainable.weights import Weights
from tuner.config import DataConfig
from tuner.preparation import examine, prepare

BATCH = 32
REPEATS = 15


def prepared(job: Mapping[str, Any], folder: Path) -> ImageDataset:
    data = prepare(examine(DataConfig(path=Path(job["table"])), [job["image_size"]]))
    write_splits(folder / "splits.csv", data.rows)
    return open_dataset(folder / "splits.csv", data.root, data.labels, data.task, job["image_size"], 0)


def config_of(params: Mapping[str, Any], job: Mapping[str, Any]) -> TrialConfig:
    fields = {name: value for name, value in params.items() if "." not in name}
    for path, value in params.items():
        if "." in path:
            section, name = path.split(".")
            fields.setdefault(section, {})[name] = value
    fixed = {"backbone": "resnet18", "image_size": job["image_size"], "epochs": job["epochs"], "batch_size": BATCH}
    return parse_config(fixed | fields)


def train_all(job: Mapping[str, Any], data: ImageDataset, folder: Path, sharing: Sharing) -> dict[str, Any]:
    """Every trial, the most frozen first, as a search orders them; the time they took."""
    trials = sorted(job["trials"], key=lambda params: -params["freeze"])
    weights = Weights("resnet18", Path(job["weights"]))
    objective = parse_objective("f2_macro")
    outcomes, spent = [], time.process_time()
    for number, params in enumerate(trials):
        files = TrialFiles(folder / f"t{number}", folder / f"t{number}.npz")
        trial = TrialJob(config_of(params, job), objective, files, weights, sharing=sharing)
        reports = train_trial(trial, data, torch.device("cpu"))
        epochs = [{"loss": report.val["loss"], "f2_macro": report.val["f2_macro"]} for report in reports]
        outcomes.append({"params": params, "epochs": epochs})
    return {"trials": outcomes, "cpu_seconds": time.process_time() - spent}


def time_blocks(job: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """depth -> CPU seconds an image in the frozen blocks, of a training step of the rest, and of its forward pass."""
    found = {}
    size = job["image_size"]
    for depth in sorted({params["freeze"] for params in job["trials"]}):
        config = config_of({**job["trials"][0], "freeze": depth}, job)
        classifier = build_classifier(config, 6, Weights("resnet18", Path(job["weights"])))
        classifier.freeze(depth)
        images = torch.rand(BATCH, 3, size, size)
        targets = (torch.rand(BATCH, 6) < 0.5).float()
        with torch.no_grad():
            features = classifier.prefix(images)
        trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, fused=True)
        suffix = classifier.suffix

        def prefix(classifier: Any = classifier, images: torch.Tensor = images) -> None:
            with torch.no_grad():
                classifier.prefix(images)

        def step(optimizer: Any = optimizer, suffix: Any = suffix, x: Any = features, y: Any = targets) -> None:
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(suffix(x), y).backward()
            optimizer.step()

        def forward(suffix: Any = suffix, x: torch.Tensor = features) -> None:
            with torch.no_grad():
                suffix(x)

        classifier.train()
        times = {"prefix": timed(prefix), "step": timed(step)}
        classifier.eval()
        found[depth] = times | {"forward": timed(forward)}
    return found


def timed(call: Callable[[], None]) -> float:
    """CPU seconds an image of a batch, the median."""
    call()
    took = []
    for _ in range(REPEATS):
        began = time.process_time()
        call()
        took.append(time.process_time() - began)
    return statistics.median(took) / BATCH


def main(mode: str, job_file: Path, out: Path) -> None:
    torch.set_num_threads(1)
    job = json.loads(job_file.read_text())
    if mode == "blocks":
        found: dict[str, Any] = {"blocks": time_blocks(job)}
    else:
        depths = tuple(sorted({params["freeze"] for params in job["trials"]}))
        sharing = Sharing(len(job["trials"]), depths) if mode == "shared" else Sharing(trials=0)
        found = train_all(job, prepared(job, out.parent), out.parent, sharing)
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
