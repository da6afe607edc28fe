from __future__ import annotations

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainable.data.batches import endless_batches, epoch_batches, steps_per_epoch

sizes = st.integers(1, 40)


@given(sizes, sizes, st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_an_epoch_is_every_image_once(images: int, batch_size: int, seed: int, epoch: int) -> None:
    """But for a last batch of one image, which BatchNorm cannot train on."""
    indices = np.arange(100, 100 + images)
    batches = epoch_batches(indices, batch_size, seed, epoch)
    assert len(batches) == steps_per_epoch(images, batch_size)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    seen = np.concatenate(batches)
    left_out = images % batch_size == 1 and 1 < batch_size < images
    assert len(seen) == len(set(seen)) == images - left_out
    assert set(seen) <= set(indices)
    again = epoch_batches(indices[::-1], batch_size, seed, epoch)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))


@given(st.integers(2, 30), sizes, st.integers(0, 2**32 - 1))
def test_endless_batches_are_full_and_fair(images: int, batch_size: int, seed: int) -> None:
    indices = np.arange(images)
    batches = list(islice(endless_batches(indices, batch_size, seed), 20))
    assert {len(batch) for batch in batches} == {min(batch_size, images)}
    counts = np.bincount(np.concatenate(batches), minlength=images)
    assert counts.max() - counts.min() <= 1
    again = islice(endless_batches(indices, batch_size, seed), 20)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))
    other = np.concatenate(list(islice(endless_batches(indices, batch_size, seed + 1), 20)))
    assert images < 8 or not np.array_equal(np.concatenate(batches), other)
