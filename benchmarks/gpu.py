"""What a GPU does for a trial: our steps against the loops people write, and where features and augmentation belong.

    python -m benchmarks.gpu [--minutes 8] [--out gpu.json] [--backbones resnet50,lite0] [--quick]

Needs PyTorch, torchvision, timm, numpy and pydantic, and no Ray: it drives trainable/ directly, on random weights and
random images. The rows that tell most come first; what does not fit the minutes is left out and counted. `--quick` is
a smoke run of tiny sizes, for a CPU too. Without a GPU the figures say nothing about one.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.gpu_paths import Rate, augmentation, boundaries, transfers
from benchmarks.gpu_steps import MODES, Contender, Mode, Workload, contenders
from trainable.backbones import BACKBONES, BackboneFacts, backbone_facts
from trainable.devices import device_name, trial_device

TELLING = ("resnet50", "efficientnet_b0", "efficientnet_v2_l")
"""a network of plain, one of depthwise convolutions, and a large one: measured first"""
LEAST_IMAGES = 4


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    section: str
    subject: str
    what: str
    images_per_second: float | None
    images: int
    """at once"""
    peak_gib: float | None = None
    """of GPU memory; None on a CPU"""
    note: str = ""


@dataclass(frozen=True)
class Scale:
    """How large and how long everything is."""

    training_images: int = 64
    inference_images: int = 256
    seconds: float = 1.0
    """that a step is timed for, after three that are not counted"""
    size: int | None = None
    """pixels; None: each backbone's own"""


QUICK = Scale(training_images=4, inference_images=4, seconds=0.0, size=32)
"""a step each"""


@dataclass(frozen=True)
class Job:
    """Rows that are measured together, and what they are about."""

    name: str
    measure: Callable[[], Iterator[Row]]


def jobs(backbones: Sequence[str], device: torch.device, scale: Scale) -> Iterator[Job]:
    """All that can be measured, what tells most first."""
    telling = [name for name in backbones if name in TELLING] or list(backbones[:1])
    rest = [name for name in backbones if name not in telling]
    loops = contenders(device)
    quick, slow = ([one for one in loops if one.compiles == late] for late in (False, True))
    for mode in MODES:
        for name in telling:
            yield from (_step_job(backbone_facts(name), mode, one, device, scale) for one in quick)
    common = (device, scale.inference_images, scale.size or 224, scale.seconds)
    yield Job("H2D copies", lambda: _paths("H2D copies", transfers(*common)))
    yield Job("augmentation", lambda: _paths("augmentation", augmentation(*common)))
    yield from (_boundary_job(backbone_facts(name), device, scale) for name in telling)
    yield from (_step_job(backbone_facts(name), "training", one, device, scale) for name in telling for one in slow)
    for name in rest:
        yield from (_step_job(backbone_facts(name), mode, one, device, scale) for mode in MODES for one in quick)
    yield from (_boundary_job(backbone_facts(name), device, scale) for name in rest)
    yield from (_step_job(backbone_facts(name), "training", one, device, scale) for name in rest for one in slow)


def _step_job(facts: BackboneFacts, mode: Mode, contender: Contender, device: torch.device, scale: Scale) -> Job:
    def measure() -> Iterator[Row]:
        images = scale.inference_images if mode == "inference" else scale.training_images
        yield measured_step(Workload(facts, mode, images, _size(facts, scale), device), contender, scale.seconds)

    return Job(f"{mode}, {facts.name}, {contender.name}", measure)


def _boundary_job(facts: BackboneFacts, device: torch.device, scale: Scale) -> Job:
    name = f"features of {facts.name}"
    rates = boundaries(facts, device, scale.inference_images, _size(facts, scale), scale.seconds)
    return Job(name, lambda: _paths(name, rates))


def _size(facts: BackboneFacts, scale: Scale) -> int:
    return scale.size or facts.input_size or 224


def _paths(section: str, rates: Iterator[Rate]) -> Iterator[Row]:
    for rate in rates:
        yield Row(section, rate.subject, rate.what, rate.images_per_second, rate.images, note=rate.note)


def measured_step(work: Workload, contender: Contender, seconds: float) -> Row:
    """Images a second of a contender; where memory runs out, with half as many images at once, and so on."""
    peak_gib: float | None = None
    note = ""
    while True:
        _free(work.device)
        try:
            rate = _images_per_second(work, contender, seconds)
            break
        except torch.OutOfMemoryError:
            note = f"out of memory with {work.images} at once"
            if work.images // 2 < LEAST_IMAGES:
                return Row(work.mode, work.facts.name, contender.name, None, work.images, note=note)
            work = Workload(work.facts, work.mode, work.images // 2, work.size, work.device)
    if work.device.type == "cuda":
        peak_gib = torch.cuda.max_memory_allocated(work.device) / 2**30
    return Row(work.mode, work.facts.name, contender.name, rate, work.images, peak_gib, note)


def _images_per_second(work: Workload, contender: Contender, seconds: float) -> float:
    step = contender.prepare(work)
    for _ in range(3 if seconds else 1):  # kernels are chosen, compiled or recorded
        step()
    began, steps = _now(work.device), 0
    while not steps or _now(work.device) - began < seconds:
        for _ in range(5 if seconds else 1):  # the device is not waited for after each
            step()
        steps += 5 if seconds else 1
    return work.images * steps / (_now(work.device) - began)


def _free(device: torch.device) -> None:
    if "torch._dynamo" in sys.modules:  # something has been compiled
        torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure_all(todo: Sequence[Job], deadline: float, tell: Callable[[Row], None]) -> tuple[list[Row], int]:
    """The rows of the jobs that begin before `deadline` (time.monotonic()), and how many jobs did not."""
    rows: list[Row] = []
    for number, job in enumerate(todo):
        if time.monotonic() >= deadline:
            return rows, len(todo) - number
        try:
            for row in job.measure():
                rows.append(row)
                tell(row)
        except Exception as error:  # one row that fails must not cost the others
            reason = (str(error) or type(error).__name__).splitlines()[0]
            rows.append(Row("failed", job.name, "", None, 0, note=f"{type(error).__name__}: {reason}"[:200]))
            tell(rows[-1])
    return rows, 0


def markdown(rows: Sequence[Row], facts: dict[str, str], left_out: int) -> str:
    """The rows as a table, under what they were measured on."""
    lines = [f"{name}: {value}  " for name, value in facts.items()]
    lines += [
        "",
        "| section | subject | what | images/s | at once | peak GiB | note |",
        "|---|---|---|--:|--:|--:|---|",
    ]
    for row in rows:
        rate = "" if row.images_per_second is None else f"{row.images_per_second:,.0f}"
        peak = "" if row.peak_gib is None else f"{row.peak_gib:.2f}"
        note = row.note.replace("|", "/")
        lines.append(f"| {row.section} | {row.subject} | {row.what} | {rate} | {row.images} | {peak} | {note} |")
    if left_out:
        lines += ["", f"{left_out} measurements did not fit the minutes."]
    return "\n".join(lines)


def machine(device: torch.device, scale: Scale) -> dict[str, str]:
    """What figures depend on."""
    found = {"device": device_name(device), "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}
    if device.type == "cuda":
        total_gib = torch.cuda.get_device_properties(device).total_memory / 2**30
        found |= {"memory": f"{total_gib:.0f} GiB", "CUDA": str(torch.version.cuda)}
        found["cuDNN"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    for package in ("torch", "torchvision", "timm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    size = f"{scale.size} pixels" if scale.size else "each backbone's own size"
    return found | {"python": platform.python_version(), "images": f"random, {size}"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="after which no other measurement begins")
    parser.add_argument("--out", type=Path, help="file for everything as JSON")
    parser.add_argument("--backbones", default=",".join(BACKBONES), help="names with commas between them")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, a step each: does it run at all")
    given = parser.parse_args(arguments)
    deadline = time.monotonic() + 60 * given.minutes
    device, scale = trial_device(), QUICK if given.quick else Scale()
    todo = list(jobs(given.backbones.split(","), device, scale))

    def tell(row: Row) -> None:
        rate = "-" if row.images_per_second is None else f"{row.images_per_second:,.0f} images/s"
        print(f"{row.section}: {row.subject}, {row.what}: {rate} {row.note}", flush=True)

    rows, left_out = measure_all(todo, deadline, tell)
    facts = machine(device, scale)
    print("\n" + markdown(rows, facts, left_out))
    if given.out:
        found = {"machine": facts, "rows": [asdict(row) for row in rows], "left_out": left_out}
        given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
