"""What the frozen prefix makes of images: computed in fixed chunks, remembered where the view never changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from trainable.augment import AUGMENTS, Augment
from trainable.classifier import Classifier
from trainable.data.views import keyed_uniform
from trainable.freezing import frozen_features

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset

Indices = npt.NDArray[np.int64]

BATCH_IMAGES = 256
"""whose pixels are in memory at once where nothing is trained on them"""
REMEMBERED_GIB = 1.0
"""Features of plain views are kept in memory up to this much; beyond it they are computed again each epoch."""


class PrefixFeatures:
    """Features of a data set's images under one frozen prefix.

    Keeps the output for plain (unaugmented) views, so that validation, and training without augmentation, pass the
    prefix once however many epochs there are. The result is the same to the bit with or without the memory.
    """

    def __init__(
        self, classifier: Classifier, data: ImageDataset, device: torch.device, remembered_gib: float = REMEMBERED_GIB
    ) -> None:
        self._classifier = classifier
        self._data = data
        self._device = device
        # with nothing frozen the prefix only normalises: computing it is cheaper than keeping it
        self._budget_bytes = int(remembered_gib * 2**30) if classifier.frozen else 0
        self._kept: torch.Tensor | None = None
        self._known = np.zeros(len(data.ids), dtype=bool)

    def plain(self, images: Indices) -> torch.Tensor:
        """Features `[n, ...]` of unaugmented images, by their indices in the data set."""
        new = images[~self._known[images]]
        if len(new):
            features = self.of(self.pixels(new, "none", epoch=1))
            if self._kept is None:
                self._kept = self._room_for(features)
            if self._kept is None:
                return features
            self._kept[torch.from_numpy(new)] = features
            self._known[new] = True
        assert self._kept is not None  # some image is known, so there is room
        return self._kept[torch.from_numpy(images)]

    def batches(self, images: Indices) -> Iterator[torch.Tensor]:
        """The same for any number of images, some at a time: pixels of all at once would not fit."""
        for batch in np.split(images, range(BATCH_IMAGES, len(images), BATCH_IMAGES)):
            yield self.plain(batch)

    def _room_for(self, features: torch.Tensor) -> torch.Tensor | None:
        """Memory for every image's features, if that is within the budget."""
        images = len(self._data.ids)
        if images * features[0].nbytes > self._budget_bytes:
            return None
        return features.new_empty(images, *features.shape[1:])

    def view(self, images: Indices, augment: Augment, epoch: int) -> torch.Tensor:
        """Features of the images' augmented views of an epoch (from 1)."""
        if not AUGMENTS[augment].draws:
            return self.plain(images)
        return self.of(self.pixels(images, augment, epoch))

    def pixels(self, images: Indices, augment: Augment, epoch: int) -> torch.Tensor:
        """The images' augmented views of an epoch (from 1) themselves, float `[n, 3, size, size]` in 0..1."""
        policy = AUGMENTS[augment]
        draws = torch.from_numpy(keyed_uniform(self._data.data_seed, epoch, images, policy.draws))
        stored = torch.from_numpy(self._data.batch(images)).to(self._device)
        return policy.apply(stored, draws.to(self._device)).permute(0, 3, 1, 2).float() / 255

    def of(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features of pictures in 0..1, `[n, 3, size, size]`, which need not be in the data set."""
        return frozen_features(self._classifier, pixels)
