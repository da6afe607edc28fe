"""Randomness that is keyed, not consumed: the same draw whatever batch, worker or order asks for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_VIEWS = 0x56494557
_ORDER = 0x4F524452
"""Names of the two streams, so that views and orders with equal keys are unrelated."""


def keyed_uniform(data_seed: int, epoch: int, images: Indices, draws: int) -> npt.NDArray[np.float64]:
    """Uniform numbers in [0, 1), shape [n, draws], for images of shape [n] in one epoch.

    Row i depends on (data_seed, epoch, images[i]) alone, and the first k draws do not depend on how many are asked for.
    The generator is splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014), used
    as a counter-based hash: 53 random bits a number.
    """
    states = _keyed(_VIEWS, data_seed, epoch, images)
    counters = np.arange(1, draws + 1, dtype=np.uint64) * _GOLDEN
    bits = _mixed(states[:, None] + counters[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def shuffled(indices: Indices, seed: int, epoch: int) -> Indices:
    """The indices, shape [n], in an order keyed by (seed, epoch); the order they are given in does not matter."""
    ordered = np.sort(np.asarray(indices, dtype=np.int64))
    return ordered[np.argsort(_keyed(_ORDER, seed, epoch, ordered), kind="stable")]


def _keyed(stream: int, seed: int, epoch: int, images: Indices) -> npt.NDArray[np.uint64]:
    """One 64-bit state per image; every part of the key is mixed in before the next is added."""
    state = np.zeros(1, dtype=np.uint64)
    for part in (stream, seed, epoch):
        state = _mixed(state + np.uint64(part & 0xFFFFFFFFFFFFFFFF) + _GOLDEN)
    return _mixed(state + np.asarray(images, dtype=np.int64).astype(np.uint64) * _GOLDEN)


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The output function of splitmix64; arrays of unsigned integers wrap silently, which is what it needs."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
