"""What pictures look like, in a few numbers each: enough to tell a re-encoded copy from another picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LOOK_SIZE = 32
"""pixels a side of the pictures that are compared"""
BRIGHTNESS_SIDE, COLOUR_SIDE, COARSE_SIDE = 16, 4, 8
"""cells a side; small JPEGs keep colour at half resolution and blur it further, so it is compared in larger cells"""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""weights of red, green and blue in brightness (ITU-R BT.601, as in JPEG)"""

MOST_ON_AVERAGE, MOST_IN_A_CELL, MOST_COLOUR = 5.0, 14.0, 10.0
"""what may differ between copies, in levels of 255: the root of the mean square over cells, and any one cell"""
MOST_PEAK = 6.5
"""encoding differs a little everywhere; a cell that differs by more times the average than that was drawn otherwise"""
MOST_LOCAL, EVERYWHERE = 2.7, 0.3
"""likewise of 3 x 3 cells together, such as a face: so many times the average and these levels"""
FULL_CONTRAST = 60.0
"""standard deviation of brightness, in levels, from which a picture may differ that much; a flatter one by less"""
ROUNDING = 1.0
"""levels by which even flat pictures may differ"""

_ROWS, _PAIRS = 512, 50_000
"""compared at once, which bounds memory"""


@dataclass(frozen=True)
class Looks:
    """Pictures in order, in levels of 0 to 255."""

    brightness: Floats
    """[n, 256], means of cells"""
    colour: Floats
    """[n, 48], red, green and blue less brightness, means of larger cells"""
    contrast: Floats
    """[n], standard deviation of brightness"""

    def __len__(self) -> int:
        return len(self.contrast)


@dataclass(frozen=True)
class Alike:
    """Pairs of pictures that look the same, by position; `earlier` < `later`."""

    earlier: npt.NDArray[np.intp]
    later: npt.NDArray[np.intp]
    difference: Floats
    """levels, root of the mean square"""


def describe(pictures: npt.NDArray[np.uint8]) -> Looks:
    """What pictures of [n, 32, 32, 3] look like."""
    starts = range(0, max(len(pictures), 1), _ROWS)
    parts = [_described(pictures[start : start + _ROWS]) for start in starts]
    brightness, colour, contrast = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Looks(brightness, colour, contrast)


def _described(pictures: npt.NDArray[np.uint8]) -> tuple[Floats, Floats, Floats]:
    pixels = pictures.astype(np.float32)
    luma = (pixels @ LUMA)[..., None]
    contrast: Floats = luma.std(axis=(1, 2, 3))
    return _cells(luma, BRIGHTNESS_SIDE), _cells(pixels - luma, COLOUR_SIDE), contrast


def _cells(pixels: Floats, side: int) -> Floats:
    """[n, size, size, channels] -> means of side x side cells, flat."""
    n, size, _, channels = pixels.shape
    blocks = pixels.reshape(n, side, size // side, side, size // side, channels)
    means: Floats = blocks.mean(axis=(2, 4)).reshape(n, side * side * channels)
    return means


def find_alike(looks: Looks) -> Iterator[Alike]:
    """All pairs of pictures that look the same, a few hundred later pictures at a time.

    A copy that was re-encoded or resized differs from its original by little anywhere, and evenly; the limits were
    measured (benchmarks/planted_faults.py). A rotated, mirrored, cropped or recoloured copy is another picture.
    """
    coarse = looks.brightness.reshape(-1, COARSE_SIDE, 2, COARSE_SIDE, 2).mean(axis=(2, 4)).reshape(len(looks), -1)
    coarse -= coarse.mean(axis=0) if len(coarse) else 0.0
    squares = (coarse**2).sum(axis=1)
    # means of cells differ by no more than the cells do, so that no pair is missed
    farthest = COARSE_SIDE**2 * (MOST_ON_AVERAGE + ROUNDING) ** 2
    for start in range(0, len(looks), _ROWS):
        stop = min(start + _ROWS, len(looks))
        distances = squares[start:stop, None] + squares[None, :stop] - 2 * coarse[start:stop] @ coarse[:stop].T
        later, earlier = np.nonzero(distances <= farthest)
        later += start
        before = earlier < later
        yield _same(looks, earlier[before], later[before])


def _same(looks: Looks, earlier: npt.NDArray[np.intp], later: npt.NDArray[np.intp]) -> Alike:
    kept, differences = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    for start in range(0, len(later), _PAIRS):
        one, other = earlier[start : start + _PAIRS], later[start : start + _PAIRS]
        apart = np.abs(looks.brightness[one] - looks.brightness[other])
        average = np.sqrt((apart**2).mean(axis=1))
        peak = apart.max(axis=1)
        colour = np.abs(looks.colour[one] - looks.colour[other]).max(axis=1)
        share = np.minimum(1, np.minimum(looks.contrast[one], looks.contrast[other]) / FULL_CONTRAST)
        same = (
            (average <= ROUNDING + (MOST_ON_AVERAGE - ROUNDING) * share)
            & (peak <= ROUNDING + (MOST_IN_A_CELL - ROUNDING) * share)
            & (peak <= ROUNDING + MOST_PEAK * average)
            & (colour <= ROUNDING + (MOST_COLOUR - ROUNDING) * share)
        )
        same[same] = _largest_patch(apart[same]) <= MOST_LOCAL * (average[same] + EVERYWHERE)
        kept.append(same)
        differences.append(average)
    every = np.concatenate(kept)
    return Alike(earlier[every], later[every], np.concatenate(differences)[every])


def _largest_patch(apart: Floats) -> Floats:
    """Of differences [n, 256] the largest root of the mean square over 3 x 3 cells, [n]."""
    squares = (apart**2).reshape(-1, BRIGHTNESS_SIDE, BRIGHTNESS_SIDE)
    patches = np.lib.stride_tricks.sliding_window_view(squares, (3, 3), axis=(1, 2)).mean(axis=(3, 4))
    largest: Floats = np.sqrt(patches.max(axis=(1, 2)))
    return largest
