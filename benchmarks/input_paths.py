"""Ways from JPEG files to batches of float pictures, 0..1; one of them, timed in a process of its own.

    python -m benchmarks.input_paths NAME FOLDER SIZE EPOCHS OUTCOMES.json

An epoch's CPU time is that of the process and of the loader processes that it started, which end with the epoch.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import transforms as v1
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

BATCH = 32
CUBIC = v1.InterpolationMode.BICUBIC
OURS = "Thaw"

Batches = Iterator[torch.Tensor]
Epochs = Callable[[], Batches]
"""called once an epoch"""


def thaw(folder: Path, size: int) -> Epochs:
    """Decode into the cache in the first epoch; gather from the memory map ever after."""
    import numpy as np

    from trainable.data.prepared import open_images, scan_images

    cache = Path(os.environ["THAW_CACHE"])
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob("*/*.jpg"))}
    prepared: list[Any] = []

    def epoch() -> Batches:
        if not prepared:
            scan = scan_images(paths, [size], cache)
            opened = open_images(scan.sha256s.values(), size, cache)
            assert opened is not None  # just prepared
            rows = np.array([opened.positions[sha256] for sha256 in scan.sha256s.values()])
            prepared.extend((opened, rows))
        opened, rows = prepared
        for first in range(0, len(rows), BATCH):
            pixels = torch.from_numpy(opened.array[rows[first : first + BATCH]])
            yield pixels.permute(0, 3, 1, 2).float() / 255

    return epoch


def image_folder(folder: Path, size: int, *, tensors: bool, workers: int) -> Epochs:
    """torchvision's ImageFolder under a DataLoader: Pillow and `transforms`, or its own decoder and `transforms.v2`."""
    if tensors:
        to_input = v2.Compose([v2.Resize((size, size), CUBIC, antialias=True), v2.ToDtype(torch.float32, scale=True)])
        data = ImageFolder(folder, to_input, loader=partial(decode_image, mode=ImageReadMode.RGB))
    else:
        data = ImageFolder(folder, v1.Compose([v1.Resize((size, size), CUBIC), v1.ToTensor()]))

    def epoch() -> Batches:
        for pictures, _ in DataLoader(data, batch_size=BATCH, num_workers=workers):
            yield pictures

    return epoch


PATHS: dict[str, Callable[[Path, int], Epochs]] = {
    OURS: thaw,
    "v1 PIL, in process": partial(image_folder, tensors=False, workers=0),
    "v1 PIL, 2 loaders": partial(image_folder, tensors=False, workers=2),
    "v2 tensor, in process": partial(image_folder, tensors=True, workers=0),
    "v2 tensor, 2 loaders": partial(image_folder, tensors=True, workers=2),
}


def main(name: str, folder: Path, size: int, epochs: int, out: Path) -> None:
    torch.set_num_threads(1)
    epoch = PATHS[name](folder, size)
    times, means = [], []
    for _ in range(epochs):
        before, began = os.times(), time.perf_counter()
        means = [pictures.mean((1, 2, 3)) for pictures in epoch()]
        wall, after = time.perf_counter() - began, os.times()
        times.append({"wall": wall, "cpu": sum(after[:4]) - sum(before[:4])})
    out.write_text(json.dumps({"times": times, "means": torch.cat(means).tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
