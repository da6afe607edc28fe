"""Which images an optimiser step sees: orders that are keyed by a seed, so that any batch can be had again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from trainable.data.views import shuffled

Indices = npt.NDArray[np.int64]


def epoch_batches(images: Indices, batch_size: int, seed: int, epoch: int) -> list[Indices]:
    """An epoch's batches of image indices, in an order keyed by seed and epoch."""
    order = shuffled(images, seed, epoch)
    batches = np.split(order, range(batch_size, len(order), batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:
        batches.pop()  # BatchNorm cannot train on a single image; another epoch's order leaves out another one
    return batches


def steps_per_epoch(images: int, batch_size: int) -> int:
    """How many batches `epoch_batches` makes of so many images."""
    whole, rest = divmod(images, batch_size)
    return max(1, whole + (rest > 1))


def endless_batches(images: Indices, batch_size: int, seed: int) -> Iterator[Indices]:
    """Full batches without end, from one keyed shuffle of the images after another.

    Where there are fewer images than `batch_size`, a batch is all of them.
    """
    size = min(batch_size, len(images))
    waiting, shuffle = images[:0], 0
    while True:
        while len(waiting) < size:
            shuffle += 1
            waiting = np.concatenate([waiting, shuffled(images, seed, shuffle)])
        yield waiting[:size]
        waiting = waiting[size:]
