"""Pictures whose labels can be seen, in memory."""

from __future__ import annotations

import numpy as np

from trainable.data.dataset import ImageDataset
from trainable.task import Task


def tinted_images(images: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise with tinted corners: uint8 `[n, size, size, 3]`, and which of three corners are tinted `[n, 3]`."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 120, (images, size, size, 3), dtype=np.uint8)
    tinted = rng.random((images, 3)) < 0.5
    half = size // 2
    corners = [
        (slice(0, half), slice(0, half)),
        (slice(0, half), slice(half, size)),
        (slice(half, size), slice(0, half)),
    ]
    for image in range(images):
        for label, corner in enumerate(corners):
            if tinted[image, label]:
                pixels[(image, *corner, label)] = 230
    return pixels, tinted


def small_dataset(task: Task = "multilabel", images: int = 60, size: int = 32, seed: int = 0) -> ImageDataset:
    """A data set in memory whose labels can be learnt: 60 % train, 20 % val, 20 % test."""
    pixels, tinted = tinted_images(images, size, seed)
    first, second = int(images * 0.6), int(images * 0.8)
    order = np.arange(images)
    return ImageDataset(
        images=pixels,
        rows=order,
        ids=tuple(f"{image:03d}.png" for image in order),
        targets=tinted.astype(np.float32) if task == "multilabel" else tinted[:, 0].astype(np.int64),
        labels=("red", "green", "blue") if task == "multilabel" else ("dark", "red"),
        task=task,
        groups=order,
        split={"train": order[:first], "val": order[first:second], "test": order[second:]},
        data_hash="0" * 64,
        data_seed=7,
        image_size=size,
    )
