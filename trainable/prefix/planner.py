"""Whether features are kept or computed each time: measured on this device, decided for each depth by itself."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sharing:
    """What a trial knows of those who will want its features."""

    trials: float = 1
    """trials of the search that are expected to want the same ones, itself among them"""
    depths: tuple[int, ...] = ()
    """numbers of frozen blocks that trials of its backbone have"""


@dataclass(frozen=True)
class Measured:
    """Seconds an image at one depth, on this device, with this disk."""

    computing: float
    """from pixels"""
    writing: float
    reading: float

    def worth_keeping(self, readings: float) -> bool:
        """Whether computing once, writing, and reading so many times is faster than computing each time."""
        return self.computing + self.writing + readings * self.reading < readings * self.computing


class Clock:
    """Seconds from one event to the next, what the device has been asked to do included."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = self._now()

    def lap(self) -> float:
        now = self._now()
        seconds, self._last = now - self._last, now
        return seconds

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
