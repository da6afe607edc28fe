"""Features of a data set's images under one frozen prefix: read where somebody has computed them, else computed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from trainable.augment import AUGMENTS, Augment
from trainable.data.cache import cache_folder
from trainable.data.views import keyed_uniform
from trainable.devices import to_device
from trainable.freezing import CHUNK_IMAGES, as_features, frozen_features, prefix_rows
from trainable.precision import dtype_of
from trainable.prefix.keys import PLAIN, FeatureKey, View, feature_key, view_of
from trainable.prefix.planner import Clock, Measured, Sharing
from trainable.prefix.store import Entry, forget_entry, open_entry

if TYPE_CHECKING:
    from trainable.classifier import Classifier
    from trainable.data.dataset import ImageDataset

Indices = npt.NDArray[np.int64]

BATCH_IMAGES = 256
"""whose pixels are in memory at once where nothing is trained on them"""
CLAIMED_IMAGES = 4 * CHUNK_IMAGES
"""that a process takes upon itself at once; others compute other ones"""

_Boundary = tuple[str, int, int, str, str]
"""backbone, depth, image size, augmentation, device and precision"""
_MEASURED: dict[_Boundary, Measured] = {}
"""what this process has found"""


class _Passed(NamedTuple):
    """What a pass through the prefix gave, by depth."""

    rows: dict[int, torch.Tensor]
    """`[n, ...]`, see `as_features`"""
    seconds: dict[int, float]
    """an image, from its pixels on; empty where that was not measured"""


@dataclass
class Counts:
    """How a trial came by its features, since it was last asked."""

    reads: int = 0
    """images whose features were used"""
    misses: int = 0
    """images that passed the prefix"""
    bytes: int = 0
    """written"""
    warning: str = ""
    """why features are not kept, where that is not as it should be"""

    def take(self) -> dict[str, int]:
        """`hits` and `misses` in images, and `bytes` written; counting starts anew."""
        found = {"hits": max(0, self.reads - self.misses), "misses": self.misses, "bytes": self.bytes}
        self.reads = self.misses = self.bytes = 0
        return found


class PrefixFeatures:
    """Features under one frozen prefix, the same to the bit whether they are read or computed.

    Plain (unaugmented) views are the same in every epoch; augmented ones are one epoch's each. Both are the same for
    all trials with this prefix. With nothing frozen the prefix only normalises, and a prefix that has been trained is
    nobody else's: then nothing is kept.
    """

    def __init__(
        self,
        classifier: Classifier,
        data: ImageDataset,
        device: torch.device,
        sharing: Sharing | None = None,
        epochs: int = 1,
        counts: Counts | None = None,
    ) -> None:
        """`epochs`: how often this trial will want each plain image's features."""
        self._classifier = classifier
        self._data = data
        self._device = device
        self._sharing = sharing or Sharing()
        self._epochs = epochs
        self.counts = counts or Counts()
        self._cache = cache_folder()
        self._origin = classifier.origin
        self._frozen = classifier.frozen
        self._keeps = 0 < self._frozen <= classifier.untouched and self._origin is not None
        self._entries: dict[View, Entry | None] = {}
        self._shallower: dict[View, list[tuple[int, Entry]]] = {}
        self._declined: set[tuple[int, View]] = set()

    def plain(self, images: Indices) -> torch.Tensor:
        """Features `[n, ...]` of unaugmented images, by their indices in the data set."""
        return self.view(images, "none", epoch=1)

    def batches(self, images: Indices) -> Iterator[torch.Tensor]:
        """The same for any number of images, some at a time: pixels of all at once would not fit."""
        self.ensure(images)
        for batch in np.split(images, range(BATCH_IMAGES, len(images), BATCH_IMAGES)):
            yield self.plain(batch)

    def view(self, images: Indices, augment: Augment, epoch: int) -> torch.Tensor:
        """Features of the images' augmented views of an epoch (from 1)."""
        view = view_of(augment, epoch)
        entry = self._entry(view)
        if entry is not None and len(entry.missing(images)):
            self.ensure(images, augment, epoch)
            entry = self._entry(view)
        self.counts.reads += len(images) if self._frozen else 0
        if entry is not None:
            return as_features(self._on_device(entry.read(images)))
        if not self._frozen:
            return frozen_features(self._classifier, self.pixels(images, augment, epoch))
        self.counts.misses += len(images)
        return as_features(self._pass(images, view).rows[self._frozen])

    def pixels(self, images: Indices, augment: Augment, epoch: int) -> torch.Tensor:
        """The images' augmented views of an epoch (from 1) themselves, float `[n, 3, size, size]` in 0..1."""
        policy = AUGMENTS[augment]
        draws = torch.from_numpy(keyed_uniform(self._data.data_seed, epoch, images, policy.draws))
        stored = to_device(torch.from_numpy(self._data.batch(images)), self._device)
        return policy.apply(stored, to_device(draws, self._device)).permute(0, 3, 1, 2).float() / 255

    def of(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features of pictures in 0..1, `[n, 3, size, size]`, which need not be in the data set."""
        if self._frozen:
            self.counts.reads += len(pixels)
            self.counts.misses += len(pixels)
        return frozen_features(self._classifier, pixels)

    def ensure(self, images: Indices, augment: Augment = "none", epoch: int = 1) -> None:
        """Have the features of all these images at hand, if they are worth keeping; each is computed by one process."""
        view = view_of(augment, epoch)
        entry = self._entry(view)
        if entry is None:
            return
        try:
            with entry.building:
                self._build(entry, view, np.unique(images))
        except OSError as error:
            if entry.dropped:  # for something more valuable, while this was being built
                self._entries[view] = None
            else:
                self._go_on_without(error)

    def _entry(self, view: View) -> Entry | None:
        """Where this view's features are kept; None where they are not."""
        if not self._keeps:
            return None
        if view not in self._entries:
            self._entries = {PLAIN: self._entries[PLAIN]} if PLAIN in self._entries else {}  # an epoch's view is over
            self._shallower.clear()
            try:
                self._entries[view] = self._open(self._frozen, view, create=self._may_pay(self._frozen, view))
            except OSError as error:
                self._go_on_without(error)
                return None
        return self._entries[view]

    def _open(self, depth: int, view: View, *, create: bool) -> Entry | None:
        entry = open_entry(self._cache, self._key(depth, view), len(self._data), create=create)
        return entry if entry is not None and (entry.begun or create) else None

    def _key(self, depth: int, view: View) -> FeatureKey:
        assert self._origin is not None  # nothing is kept without
        return feature_key(self._data, self._origin, depth, view, self._device, self._classifier.precision)

    def _readings(self, view: View) -> float:
        return self._sharing.trials * (self._epochs if view == PLAIN else 1)

    def _may_pay(self, depth: int, view: View) -> bool:
        """Whether keeping features is worth it, for all that this process has measured."""
        known, readings = _MEASURED.get(self._measure(depth, view)), self._readings(view)
        return readings > 1 if known is None else known.worth_keeping(readings)

    def _build(self, entry: Entry, view: View, images: Indices) -> None:
        missing = entry.missing(images)
        while len(missing):
            mine = entry.claim(missing, CLAIMED_IMAGES)
            if len(mine):
                try:
                    left = entry.missing(mine)  # another process may have just finished them
                    if len(left) and not self._compute(entry, view, left):
                        self._entries[view] = None
                        return
                finally:
                    entry.release(mine)
            else:
                entry.wait(int(missing[0]))
            missing = entry.missing(missing)

    def _compute(self, entry: Entry, view: View, images: Indices) -> bool:
        """Compute the features of these images and keep them; False where they are not to be kept."""
        on_the_way = {
            depth: shallower
            for depth in self._sharing.depths
            if 0 < depth < self._frozen and (depth, view) not in self._declined and self._may_pay(depth, view)
            if (shallower := self._open(depth, view, create=True)) is not None and len(shallower.missing(images))
        }
        passed = self._pass(images, view, on_the_way)
        self.counts.misses += len(images)
        for depth, shallower in on_the_way.items():
            if depth in passed.rows and not self._keep_on_the_way(shallower, depth, view, images, passed):
                self._declined.add((depth, view))
        return self._keep(entry, self._frozen, view, images, passed)

    def _keep_on_the_way(self, entry: Entry, depth: int, view: View, images: Indices, passed: _Passed) -> bool:
        """As `_keep`, where another process may find meanwhile that this depth is not worth keeping."""
        try:
            return self._keep(entry, depth, view, images, passed)
        except OSError:
            if entry.dropped:
                return False
            raise

    def _pass(self, images: Indices, view: View, depths: Iterable[int] = ()) -> _Passed:
        """What images become at the frozen boundary, and at those depths that they pass on the way there."""
        clock = Clock(self._device)
        start, x = self._nearest(images, view)
        stops = [*(depth for depth in sorted(depths) if depth > start), self._frozen]
        unmeasured = [stop for stop in stops if self._measure(stop, view) not in _MEASURED]
        if not self._keeps or not unmeasured:  # then nobody asks for times, which would keep a GPU waiting
            return _Passed(prefix_rows(self._classifier, x, start, stops), {})
        known = _MEASURED.get(self._measure(start, view))
        before = clock.lap() / len(images) if known is None else known.computing
        laps: dict[int, list[float]] = {stop: [] for stop in stops}
        rows = prefix_rows(self._classifier, x, start, stops, lambda stop: laps[stop].append(clock.lap()))
        # the median: a kernel's first run is slow
        of_chunks = np.median(list(laps.values()), axis=1) / CHUNK_IMAGES
        return _Passed(rows, dict(zip(stops, (before + np.cumsum(of_chunks)).tolist(), strict=True)))

    def _nearest(self, images: Indices, view: View) -> tuple[int, torch.Tensor]:
        """The deepest boundary before the frozen one where all these images' features are kept, and those features."""
        if self._keeps:
            if view not in self._shallower:
                opened = [(depth, self._open(depth, view, create=False)) for depth in range(self._frozen - 1, 0, -1)]
                self._shallower[view] = [(depth, entry) for depth, entry in opened if entry is not None]
            for depth, entry in self._shallower[view]:
                if not len(entry.missing(images)):
                    return depth, as_features(self._on_device(entry.read(images)))
        return 0, self.pixels(images, view.augment, view.epoch)

    def _keep(self, entry: Entry, depth: int, view: View, images: Indices, passed: _Passed) -> bool:
        """Write features, unless it shows that reading them is slower, or the cache has no room for them."""
        known = _MEASURED.get(self._measure(depth, view))
        computing = known.computing if known else passed.seconds[depth]
        rows = _stored(passed.rows[depth])
        if not entry.create(rows, self._key(depth, view), computing):
            forget_entry(entry)
            return False
        clock = Clock(self._device)
        entry.write(images, rows)
        self.counts.bytes += rows.nbytes
        if known is not None:
            return True
        writing = clock.lap()
        self._on_device(entry.read(images))
        measured = Measured(computing, writing / len(images), clock.lap() / len(images))
        _MEASURED[self._measure(depth, view)] = measured
        if measured.worth_keeping(self._readings(view)):
            return True
        forget_entry(entry)
        return False

    def _measure(self, depth: int, view: View) -> _Boundary:
        assert self._origin is not None  # nothing is measured without
        place = f"{self._device} {self._classifier.precision}"
        return self._origin.backbone, depth, self._data.image_size, view.augment, place

    def _on_device(self, rows: npt.NDArray[Any]) -> torch.Tensor:
        return to_device(torch.from_numpy(rows).view(dtype_of(self._classifier.precision)), self._device)

    def _go_on_without(self, error: OSError) -> None:
        """A trial does not fail for want of a disk: it computes what it cannot keep."""
        self._keeps = False
        if not self.counts.warning:
            reason = error.strerror or error
            self.counts.warning = f"{self._cache}: features cannot be kept ({reason}); trials compute them"
            warnings.warn(self.counts.warning, stacklevel=2)


def _stored(rows: torch.Tensor) -> npt.NDArray[Any]:
    """Rows as they are written: numpy has no bf16, whose bits are kept as integers."""
    found: npt.NDArray[Any] = (rows.view(torch.int16) if rows.dtype == torch.bfloat16 else rows).cpu().numpy()
    return found
