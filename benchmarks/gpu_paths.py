"""How images and features reach the device, for gpu.py: copies, augmentation, features read against recomputed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.gpu_steps import mixed, our_classifier
from trainable.augment import AUGMENTS
from trainable.backbones import BackboneFacts
from trainable.data.views import keyed_uniform
from trainable.devices import make_deterministic
from trainable.freezing import frozen_features

HOST_BYTES = 2**30
"""of features that are kept to be read from; the least that a batch needs where that is more"""
LOADER_WORKERS = 4


@dataclass(frozen=True)
class Rate:
    """How fast one way is."""

    subject: str
    what: str
    images_per_second: float
    images: int
    """at once"""
    note: str = ""


def transfers(device: torch.device, images: int, size: int, seconds: float) -> Iterator[Rate]:
    """uint8 pictures from host memory to the device, gathered row by row as training gathers them."""
    pool = np.random.default_rng(0).integers(0, 256, (4 * images, size, size, 3), dtype=np.uint8)
    rows = np.random.default_rng(1).permutation(len(pool))[:images]
    ready = torch.from_numpy(pool[rows])
    ways: dict[str, Callable[[], object]] = {
        "pageable": lambda: ready.to(device),
        "gathered, pageable": lambda: torch.from_numpy(pool[rows]).to(device),
    }
    if device.type == "cuda":
        pinned = ready.pin_memory()
        ways["pinned"] = lambda: pinned.to(device, non_blocking=True)
        ways["gathered, pinned"] = lambda: _gathered(pool, rows, pinned=True).to(device, non_blocking=True)
    for what, way in ways.items():
        rate = _rate(way, device, images, seconds)
        yield Rate(f"uint8, {size} px", what, rate, images, f"{rate * ready[0].nbytes / 1e9:.1f} GB/s")


def _gathered(pool: npt.NDArray[Any], rows: npt.NDArray[np.int64], *, pinned: bool) -> torch.Tensor:
    into = torch.empty((len(rows), *pool.shape[1:]), dtype=torch.uint8, pin_memory=pinned)
    np.take(pool, rows, axis=0, out=into.numpy(), mode="clip")
    return into


def augmentation(device: torch.device, images: int, size: int, seconds: float) -> Iterator[Rate]:
    """Augmented uint8 pictures on the device: ours there, torchvision's v2 by CPU loader processes."""
    pool = torch.randint(0, 256, (images, size, size, 3), dtype=torch.uint8)
    for name, policy in AUGMENTS.items():
        if not policy.draws:
            continue
        draws = keyed_uniform(0, 1, np.arange(images), policy.draws)

        def ours(policy: Any = policy, draws: Any = draws) -> object:
            return policy.apply(pool.to(device), torch.from_numpy(draws).to(device))

        yield Rate(f"{size} px", f"Thaw {name}, on {device.type}", _rate(ours, device, images, seconds), images)
    workers = LOADER_WORKERS if seconds else 0
    epoch = _loader(pool, images, workers, device)
    rate = _rate(epoch, device, images * (10 if seconds else 1), seconds)
    yield Rate(f"{size} px", f"torchvision v2 light, {workers} loader processes", rate, images)


class _Augmented(torch.utils.data.Dataset[torch.Tensor]):
    """Pictures flipped and cropped one at a time, as `light` does."""

    def __init__(self, pool: torch.Tensor, passes: int) -> None:
        from torchvision.transforms import v2

        self._pool, self._passes = pool.permute(0, 3, 1, 2).contiguous(), passes
        size = pool.shape[1]
        self._transform = v2.Compose(
            [v2.RandomHorizontalFlip(), v2.RandomCrop(size, padding=size // 8, padding_mode="reflect")]
        )

    def __len__(self) -> int:
        return len(self._pool) * self._passes

    def __getitem__(self, index: int) -> torch.Tensor:
        view: torch.Tensor = self._transform(self._pool[index % len(self._pool)])
        return view


def _loader(pool: torch.Tensor, images: int, workers: int, device: torch.device) -> Callable[[], object]:
    loader = torch.utils.data.DataLoader(
        _Augmented(pool, 10 if workers else 1),
        batch_size=images,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )

    def epoch() -> None:
        for batch in loader:
            batch.to(device, non_blocking=True)

    return epoch


def boundaries(facts: BackboneFacts, device: torch.device, images: int, size: int, seconds: float) -> Iterator[Rate]:
    """Features after each block: computed from pixels that are on the device, or read from host memory or disk."""
    make_deterministic()
    precision = mixed(device) if device.type == "cuda" else "fp32"
    classifier = our_classifier(facts, size, device, precision)
    classifier.eval()
    chunk = torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8).to(device)
    for frozen in range(1, len(classifier.blocks) + 1):
        classifier.freeze(frozen)
        subject = f"after block {frozen} of {len(classifier.blocks)}, {precision}"
        features = frozen_features(classifier, chunk.float() / 255)
        note = f"{features[0].nbytes / 1024:,.0f} KiB an image"
        rate = _rate(lambda: frozen_features(classifier, chunk.float() / 255), device, images, seconds)
        yield Rate(subject, "recomputed", rate, images, note)
        row = features[0].contiguous().cpu().view(torch.uint8).flatten().numpy()
        del features
        yield from _readings(row, subject, device, images, seconds)


def _readings(
    row: npt.NDArray[np.uint8], subject: str, device: torch.device, images: int, seconds: float
) -> Iterator[Rate]:
    """Batches of such rows, in random order, out of host memory and out of a file that the page cache holds."""
    held = max(images, min(8 * images, HOST_BYTES // row.nbytes))
    rows = np.random.default_rng(0).permutation(held)[:images]
    pinned = device.type == "cuda"
    in_memory = np.tile(row, (held, 1))

    def read(pool: npt.NDArray[np.uint8]) -> Callable[[], object]:
        return lambda: _gathered(pool, rows, pinned=pinned).to(device, non_blocking=True)

    yield Rate(subject, "from host memory", _rate(read(in_memory), device, images, seconds), images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, in_memory)
        del in_memory
        on_disk = np.load(path, mmap_mode="r")
        yield Rate(subject, "from disk, in the page cache", _rate(read(on_disk), device, images, seconds), images)


def _rate(call: Callable[[], object], device: torch.device, images: int, seconds: float) -> float:
    """Images a second, after one call that is not counted."""
    call()
    began, calls = _now(device), 0
    while not calls or _now(device) - began < seconds / 2:
        call()
        calls += 1
    return images * calls / (_now(device) - began)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
