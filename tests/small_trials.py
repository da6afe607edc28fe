"""Trials that take a fraction of a second, and what is compared of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from small_data import small_dataset
from torch import nn

from trainable.backbones import backbone_facts, build_model
from trainable.config import TrialConfig, parse_config
from trainable.data.dataset import ImageDataset
from trainable.job import EpochReport, TrialFiles, TrialJob
from trainable.metrics import parse_objective
from trainable.train import train_trial
from trainable.weights import Weights, file_stem

CPU = torch.device("cpu")
TINY = "timm:test_resnet"
"""Five blocks with BatchNorm, built in 40 ms."""
MEASURED = ("features", "seconds", "images_per_second", "peak_memory_gib", "latency_ms", "pareto")


def small_config(**fields: Any) -> TrialConfig:
    """A config of a tiny random backbone, two epochs; `fields` replace."""
    chosen = {"backbone": TINY, "pretrained": False, "image_size": 32, "epochs": 2, "batch_size": 12}
    freeze = {} if "stages" in fields else {"freeze": 2}
    return parse_config(chosen | freeze | fields)


def job_of(
    config: TrialConfig, folder: Path, objective: str = "f2_macro", weights: Weights | None = None, **more: Any
) -> TrialJob:
    files = TrialFiles(folder / "checkpoints", folder / "predictions.npz")
    more.setdefault("save_every_seconds", 0)
    return TrialJob(config, parse_objective(objective), files, weights, **more)


def reports_of(
    job: TrialJob, data: ImageDataset | None = None, *, resume: bool = False, stop_after: int | None = None
) -> list[EpochReport]:
    """The reports of a trial that is left alone, or left after so many of them."""
    reports = []
    running = train_trial(job, small_dataset() if data is None else data, CPU, resume=resume)
    for report in running:
        reports.append(report)
        if len(reports) == stop_after:
            break
    running.close()  # type: ignore[attr-defined]  # a generator
    return reports


def numbers(reports: list[EpochReport]) -> list[dict[str, Any]]:
    """All that reports say, but times, memory and where features came from."""
    return [{name: value for name, value in asdict(report).items() if name not in MEASURED} for report in reports]


def model_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["model"]
    return model


def equal_states(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Equal to the bit, name by name."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def learnt_weights(backbone: str, folder: Path) -> Weights:
    """A checkpoint of the library's model whose BatchNorm has seen images.

    With the statistics of a fresh model deep features vanish, so that whatever is compared of them is equal.
    """
    torch.manual_seed(5)
    model = build_model(backbone_facts(backbone)).train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    images = torch.from_numpy(small_dataset(images=48).images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        model((images - 0.5) / 0.25)
    path = folder / f"{file_stem(backbone)}.pth"
    torch.save(model.state_dict(), path)
    return Weights(backbone, path)
