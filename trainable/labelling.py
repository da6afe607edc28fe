"""Labels for image files, whatever model answers; free of torch, so that an exported file starts without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainable.data.decoding import decode
from trainable.errors import UserError

Pixels = npt.NDArray[np.uint8]
Answer = Callable[[Pixels], tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]]
"""uint8 `[n, size, size, 3]` -> probabilities `[n, labels]` and decisions of 0 and 1 `[n, labels]`"""

BATCH_IMAGES = 32


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image."""

    path: Path
    labels: tuple[str, ...]
    """those at or above their threshold, or the likeliest class"""
    probabilities: dict[str, float]


def label_files(
    paths: Sequence[Path], labels: Sequence[str], image_size: int, answer: Answer, batch_images: int = BATCH_IMAGES
) -> Iterator[Prediction]:
    """The labels of image files, in order; decoded and stretched as for training.

    Raises:
        UserError: a file is missing or cannot be decoded.
    """
    for start in range(0, len(paths), batch_images):
        batch = paths[start : start + batch_images]
        probabilities, decisions = answer(np.stack([_read(path, image_size) for path in batch]))
        for path, row, decided in zip(batch, probabilities.tolist(), decisions, strict=True):
            chosen = tuple(label for label, is_chosen in zip(labels, decided, strict=True) if is_chosen)
            yield Prediction(path, chosen, dict(zip(labels, row, strict=True)))


def _read(path: Path, size: int) -> Pixels:
    try:
        decoded = decode(path.read_bytes(), [size])
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if decoded.error:
        raise UserError(f"{path}: {decoded.error}")
    return decoded.pictures[0]
