from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainable.data.views import keyed_uniform, shuffled

seeds = st.integers(-(2**63), 2**64)
epochs = st.integers(0, 10_000)


@settings(max_examples=50, deadline=None)
@given(seeds, epochs, st.lists(st.integers(0, 2**40), min_size=1, max_size=30), st.randoms())
def test_a_view_does_not_depend_on_its_batch(seed: int, epoch: int, images: list[int], random) -> None:  # type: ignore[no-untyped-def]
    whole = dict(zip(images, keyed_uniform(seed, epoch, np.array(images), 5), strict=True))
    random.shuffle(images)
    part = images[: len(images) // 2 + 1]
    for image, draws in zip(part, keyed_uniform(seed, epoch, np.array(part), 3), strict=True):
        assert np.array_equal(draws, whole[image][:3])


def test_every_part_of_the_key_counts() -> None:
    images = np.arange(50)
    keys = [(0, 0), (0, 1), (1, 0), (2, 3), (3, 2), (-1, 0)]
    drawn = [keyed_uniform(seed, epoch, images, 4) for seed, epoch in keys]
    assert len(np.unique(np.concatenate([draws.ravel() for draws in drawn]))) == len(keys) * 50 * 4


def test_draws_are_uniform_and_unrelated() -> None:
    draws = keyed_uniform(7, 3, np.arange(20_000), 4)
    assert draws.shape == (20_000, 4)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in draws.T])
    assert ((counts - 1000) ** 2 / 1000).sum(axis=1).max() < 50  # chi-square, 19 degrees of freedom
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.03
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.03


def test_the_stream_is_pinned() -> None:
    """A change here changes every augmented view of every stored search."""
    assert keyed_uniform(1, 2, np.array([3]), 2).tolist() == [[0.09585909836709294, 0.33194983763094366]]
    assert shuffled(np.arange(8), 1, 2).tolist() == [0, 1, 5, 2, 6, 3, 7, 4]


@settings(max_examples=50, deadline=None)
@given(seeds, epochs, st.sets(st.integers(0, 10**6), max_size=40), st.randoms())
def test_an_order_depends_on_the_set_alone(seed: int, epoch: int, indices: set[int], random) -> None:  # type: ignore[no-untyped-def]
    given_order = sorted(indices)
    expected = shuffled(np.array(given_order, dtype=np.int64), seed, epoch)
    assert sorted(expected.tolist()) == given_order
    random.shuffle(given_order)
    assert np.array_equal(shuffled(np.array(given_order, dtype=np.int64), seed, epoch), expected)


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = {tuple(shuffled(np.arange(20), seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
