"""Steps that gpu.py times: ours, and those of the loops people write.

Every contender has its batch on the device already; ours as uint8, which it normalises in the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from trainable.backbones import BackboneFacts, build_model
from trainable.classifier import Classifier, build_classifier
from trainable.compute import PLAIN, Compute, compiled
from trainable.config import parse_config
from trainable.devices import make_deterministic
from trainable.freezing import frozen_features, parameter_groups
from trainable.precision import Precision, autocast, gradient_scaler

LABELS = 1000
"""as the libraries' own classifiers have"""

Mode = Literal["training", "frozen training", "inference"]
MODES: tuple[Mode, ...] = ("training", "frozen training", "inference")
Step = Callable[[], object]


@dataclass(frozen=True)
class Workload:
    """What every contender is to do."""

    facts: BackboneFacts
    mode: Mode
    images: int
    """a step"""
    size: int
    """pixels"""
    device: torch.device

    def pixels(self) -> torch.Tensor:
        """uint8 `[images, 3, size, size]`."""
        random = torch.Generator().manual_seed(0)
        shape = (self.images, 3, self.size, self.size)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random).to(self.device)

    def targets(self) -> torch.Tensor:
        return (torch.arange(self.images) % LABELS).to(self.device)


def mixed(device: torch.device) -> Precision:
    """The half precision that AMP means on a device: bf16 where it has that, else fp16."""
    has_bf16 = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has_bf16 else "fp16"


def our_classifier(facts: BackboneFacts, size: int, device: torch.device, precision: Precision) -> Classifier:
    """With random weights."""
    config = parse_config({"backbone": facts.name, "pretrained": False, "image_size": size})
    return build_classifier(config, LABELS, None, precision).to(device)


def ours(work: Workload, precision: Precision, compute: Compute = PLAIN) -> Step:
    """What a trial does: the frozen prefix in its fixed chunks, the suffix, the loss, a fused AdamW."""
    make_deterministic()
    torch.backends.cudnn.benchmark = False
    classifier = our_classifier(work.facts, work.size, work.device, precision)
    classifier.freeze(0 if work.mode == "training" else len(classifier.blocks))
    classifier.lay_out(compute.layout)
    pixels, targets = work.pixels(), work.targets()
    if work.mode == "inference":
        return _our_inference(classifier.eval(), pixels)
    classifier.train()
    forward = compiled(classifier.suffix, compute.compile)
    optimizer = torch.optim.AdamW(parameter_groups(classifier, 1e-4, 1e-4, 0.01), fused=True)
    scaler = gradient_scaler(precision, work.device.type)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(forward(frozen_features(classifier, pixels.float() / 255)), targets)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()

    return step


def _our_inference(classifier: Classifier, pixels: torch.Tensor) -> Step:
    def step() -> None:
        with torch.no_grad():
            classifier.suffix(frozen_features(classifier, pixels.float() / 255))

    return step


def loop(work: Workload, precision: Precision, *, channels_last: bool = False, timm: bool = False) -> Step:
    """A script's own loop around the library's model, with torch's default switches; timm's where it is timm's."""
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.allow_tf32 = True  # torch's default
    torch.backends.cuda.matmul.allow_tf32 = timm  # as timm's train.py has it, and the next line too
    torch.backends.cudnn.benchmark = timm
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model: Any = build_model(work.facts).to(work.device).to(memory_format=layout)
    if work.mode == "training":
        model.train()
    else:  # frozen blocks in eval mode, which is right and is the cheaper way
        model.eval()
        model.requires_grad_(False)
        _classifier_of(model).requires_grad_(True)
    images = ((work.pixels().float() / 255 - 0.5) / 0.5).contiguous(memory_format=layout)
    targets = work.targets()
    if work.mode == "inference":
        return _inference(model, images, precision)
    optimizer = _timm_adamw(model) if timm else torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    scaler = gradient_scaler(precision, work.device.type)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision, work.device.type):
            loss = functional.cross_entropy(model(images), targets)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()

    return step


def _inference(model: nn.Module, images: torch.Tensor, precision: Precision) -> Step:
    def step() -> None:
        with torch.inference_mode(), autocast(precision, images.device.type):
            model(images)

    return step


def _classifier_of(model: Any) -> nn.Module:
    """timm's, or torchvision's `fc` or `classifier`."""
    if hasattr(model, "get_classifier"):
        found: nn.Module = model.get_classifier()
        return found
    fully_connected: nn.Module | None = getattr(model, "fc", None)
    return model.classifier if fully_connected is None else fully_connected


def _timm_adamw(model: nn.Module) -> torch.optim.Optimizer:
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

    optimizer: torch.optim.Optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-4, weight_decay=0.01)
    return optimizer


@dataclass(frozen=True)
class Contender:
    """A loop by its name in the table."""

    name: str
    prepare: Callable[[Workload], Step]
    compiles: bool = False


def contenders(device: torch.device) -> list[Contender]:
    """Those of every device first; those that compile last, since compiling takes minutes."""
    half = mixed(device)
    plain = [
        Contender(f"Thaw {half}", lambda work: ours(work, half)),
        Contender("eager fp32", lambda work: loop(work, "fp32")),
        Contender(f"eager AMP {half}", lambda work: loop(work, half)),
        Contender(f"timm-style {half}", lambda work: loop(work, half, channels_last=True, timm=True)),
        Contender("Thaw fp32", lambda work: ours(work, "fp32")),
        Contender("Thaw fp32, contiguous", lambda work: ours(work, "fp32", Compute(layout="contiguous"))),
    ]
    if device.type == "cpu":
        return plain
    return [
        *plain,
        *(
            Contender(
                f"Thaw {half}, compiled ({mode})",
                lambda work, mode=mode: ours(work, half, Compute(compile=mode)),  # type: ignore[misc]
                compiles=True,
            )
            for mode in ("default", "reduce-overhead")
        ),
    ]
