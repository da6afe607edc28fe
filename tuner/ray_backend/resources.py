"""How much of a GPU a trial asks for, from the memory that trials like it took. Plain arithmetic; Ray does the rest.

Shares are eighths of one GPU. A trial has a GPU alone until a worker has told how much memory GPUs have here, and until
it, or one that needs at least as much, has been measured. Where GPUs differ, it is kept off those that do not hold it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from trainable.backbones import count_blocks
from trainable.config import TrialConfig
from trainable.stages import least_frozen, trains_most
from tuner.store import write_atomically

EIGHTHS = 8
SMALLEST_SHARE = 1 / EIGHTHS
_MARGIN = 1.2
"""above a measured peak: fragmentation, and what a kernel takes for itself"""
_CONTEXT_GIB = 0.6
"""what CUDA takes for a process, which torch does not count"""


@dataclass(frozen=True)
class MemoryKey:
    """What a trial's peak memory depends on."""

    backbone: str
    precision: str
    image_size: int
    images: int
    """that pass the network at once"""
    frozen: int
    """leading blocks, in the stage that trains most"""

    def needs_no_more_than(self, other: MemoryKey) -> bool:
        """Whether a trial of this key fits wherever one of the other does."""
        return (
            (self.backbone, self.precision) == (other.backbone, other.precision)
            and self.image_size <= other.image_size
            and self.images <= other.images
            and self.frozen >= other.frozen
        )


_ROWS = TypeAdapter(list[tuple[MemoryKey, float]])


def memory_key(config: TrialConfig, precision: str) -> MemoryKey:
    """Raises UserError for a freeze beyond the blocks."""
    frozen = least_frozen(config, count_blocks(config.backbone))
    return MemoryKey(config.backbone, precision, config.image_size, config.images_at_once, frozen)


def has_peaked(config: TrialConfig, epoch: float) -> bool:
    """Whether a trial's peak memory after so many epochs is that of its key: while its head warms up it takes less."""
    return trains_most(config, epoch, count_blocks(config.backbone))


def gpu_gib_for(peak_gib: float) -> float:
    """The memory of a GPU that holds a trial of this peak, with a margin."""
    return peak_gib * _MARGIN + _CONTEXT_GIB


def share_of_gpu(peak_gib: float, gpu_gib: float) -> float:
    """The eighths of a GPU that hold a trial of this peak, with a margin; 1 where they would not."""
    return min(EIGHTHS, max(1, math.ceil(gpu_gib_for(peak_gib) / gpu_gib * EIGHTHS))) / EIGHTHS


def tensors_share(share: float, gpu_gib: float) -> float:
    """How much of a GPU torch may take for tensors where a trial has this share of it; all of one that it has alone."""
    return max(0.0, share - _CONTEXT_GIB / gpu_gib) if share < 1 else 1.0


def fit(shares: Iterable[float], gpus: int) -> bool:
    """Whether GPUs can hold these shares, none across two of them: first fit, the largest share first."""
    free = [1.0] * gpus
    for share in sorted(shares, reverse=True):
        place = next((place for place, room in enumerate(free) if share <= room), None)
        if place is None:
            return False
        free[place] -= share
    return True


class Peaks:
    """The most memory that trials took on GPUs of this cluster, kept in a file from search to search.

    It is a help and no record: searches that run at once may each lose what another one wrote, a file that cannot be
    read counts as none, and one that cannot be written is left as it is.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._gib = self._read()

    def remember(self, key: MemoryKey, gib: float) -> None:
        """Take in a measured peak."""
        if gib <= self._gib.get(key, 0.0):
            return
        self._gib = self._read() | self._gib | {key: gib}
        with suppress(OSError):
            write_atomically(self._file, _ROWS.dump_json(list(self._gib.items()), indent=1).decode())

    def expected(self, key: MemoryKey) -> float | None:
        """What a trial takes at most: the least peak of those that need no less. None: not known."""
        return min((gib for known, gib in self._gib.items() if key.needs_no_more_than(known)), default=None)

    def _read(self) -> dict[MemoryKey, float]:
        try:
            return dict(_ROWS.validate_json(self._file.read_bytes()))
        except (OSError, ValidationError):
            return {}


@dataclass(frozen=True)
class GpuNeed:
    """What a trial is to ask for."""

    share: float
    too_small: frozenset[str]
    """kinds of GPU that do not hold it"""
    most_gib: float
    """of the largest GPU that it may be given once it does not fit into a smaller one; 0: there is one kind only"""


class GpuShares:
    """The share of a GPU for each trial and the kinds of GPU that hold it, as far as earlier trials tell.

    A kind of which no worker has told yet may hold anything.
    """

    def __init__(self, peaks: Peaks) -> None:
        self._peaks = peaks
        self._gib: dict[str, float] = {}
        """kind of GPU -> memory of the smallest of them that a worker has told of"""
        self._alone: set[str] = set()
        self._outgrown: dict[str, float] = {}
        """trial -> GiB of the largest GPU that it had alone and that did not suffice"""

    def of(self, trial: str, key: MemoryKey, kinds: Collection[str]) -> GpuNeed:
        """What a trial is to ask for; of the GPUs that hold it the smallest tells its share.

        Args:
            kinds: of GPU that there are now
        """
        sizes = {kind: self._gib.get(kind, math.inf) for kind in kinds}
        peak, largest = self._peaks.expected(key), max(sizes.values(), default=0.0)
        needed = 0.0 if peak is None else gpu_gib_for(peak)
        outgrown = self._outgrown.get(trial, 0.0)
        fitting = {kind: gib for kind, gib in sizes.items() if gib > outgrown and gib >= needed}
        fitting = fitting or {kind: gib for kind, gib in sizes.items() if gib == largest}
        told = [gib for gib in fitting.values() if gib < math.inf]
        share = 1.0 if trial in self._alone or peak is None or not told else share_of_gpu(peak, min(told))
        return GpuNeed(share, frozenset(sizes.keys() - fitting.keys()), largest if len(sizes) > 1 else 0.0)

    def learn(self, key: MemoryKey, peak_gib: float, kind: str, gpu_gib: float | None) -> None:
        """Take in a trial's peak so far, and the memory of the GPU that it runs on; None: it runs on none."""
        if gpu_gib is not None:
            self._learn_size(kind, gpu_gib)
            self._peaks.remember(key, peak_gib)

    def did_not_fit(self, trial: str, share: float, kind: str, gpu_gib: float) -> None:
        """Take in that a trial ran out of memory: the next time it gets a GPU of its own, or a larger one."""
        self._learn_size(kind, gpu_gib)
        self._alone.add(trial)
        if share >= 1:
            self._outgrown[trial] = max(gpu_gib, self._outgrown.get(trial, 0.0))

    def _learn_size(self, kind: str, gpu_gib: float) -> None:
        self._gib[kind] = min(gpu_gib, self._gib.get(kind, gpu_gib))
