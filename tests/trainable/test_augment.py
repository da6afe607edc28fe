from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import tinted_images

from trainable.augment import AUGMENTS
from trainable.data.views import keyed_uniform

NAMES = tuple(AUGMENTS)


def views(augment: str, images: torch.Tensor, indices: np.ndarray, epoch: int) -> torch.Tensor:
    policy = AUGMENTS[augment]
    draws = torch.from_numpy(keyed_uniform(7, epoch, indices, policy.draws))
    return policy.apply(images[torch.from_numpy(indices)], draws)


def pictures(images: int = 40, size: int = 24) -> torch.Tensor:
    return torch.from_numpy(tinted_images(images, size)[0])


@pytest.mark.parametrize("augment", NAMES)
@settings(max_examples=25, deadline=None)
@given(indices=st.lists(st.integers(0, 39), min_size=1, max_size=40), epoch=st.integers(1, 50))
def test_a_view_is_the_same_alone_and_in_any_batch(augment: str, indices: list[int], epoch: int) -> None:
    images = pictures()
    together = views(augment, images, np.array(indices), epoch)
    whole = views(augment, images, np.arange(40), epoch)
    assert together.dtype == torch.uint8
    assert together.shape == (len(indices), 24, 24, 3)
    for row, index in zip(together, indices, strict=True):
        assert torch.equal(row, whole[index])
    alone = views(augment, images, np.array(indices[:1]), epoch)
    assert torch.equal(alone[0], together[0])


@pytest.mark.parametrize("augment", NAMES)
@pytest.mark.parametrize("size", [16, 17, 32])
def test_the_images_themselves_are_left_alone(augment: str, size: int) -> None:
    images = pictures(8, size)
    before = images.clone()
    views(augment, images, np.arange(8), 1)
    assert torch.equal(images, before)


@pytest.mark.parametrize("augment", ["light", "strong"])
def test_another_epoch_is_another_view(augment: str) -> None:
    images = pictures()
    one, other = (views(augment, images, np.arange(40), epoch) for epoch in (1, 2))
    assert sum(not torch.equal(a, b) for a, b in zip(one, other, strict=True)) > 35


def test_light_flips_about_half_and_shifts_by_up_to_an_eighth() -> None:
    """A picture of its own coordinates tells what was done to it."""
    size, reach, n = 32, 4, 4000
    line = torch.arange(size, dtype=torch.uint8)
    picture = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)
    images = torch.cat([picture, torch.zeros(size, size, 1, dtype=torch.uint8)], -1).expand(n, -1, -1, -1)
    draws = torch.from_numpy(keyed_uniform(0, 1, np.arange(n), AUGMENTS["light"].draws))
    seen = AUGMENTS["light"].apply(images, draws).long()
    rows, columns = seen[:, :, size // 2, 0], seen[:, size // 2, :, 1]
    flipped = columns[:, size // 2 + 1] < columns[:, size // 2]
    assert 0.47 < flipped.float().mean() < 0.53
    middle = size // 2
    down = rows[:, middle] - middle
    across = torch.where(flipped, columns.flip(1)[:, middle], columns[:, middle]) - middle
    for shift in (down, across):
        counts = torch.bincount(shift + reach)
        assert len(counts) == 2 * reach + 1
        assert counts.min() > 0.8 * n / (2 * reach + 1)
    assert (rows.diff(dim=1).abs() <= 1).all()  # edges are reflected: no jump, no blank
    assert (columns.diff(dim=1).abs() <= 1).all()


def strong_draws(n: int, kind: int, strength: float) -> torch.Tensor:
    """Draws of a strong view that does nothing but its last operation, of this kind and strength (-1..1)."""
    neutral = torch.full((n, 8), 0.5, dtype=torch.float64)
    neutral[:, 6], neutral[:, 7] = (kind + 0.5) / 8, (strength + 1) / 2
    return neutral


@pytest.mark.parametrize("kind", range(6))
def test_a_strong_view_of_no_strength_is_the_image(kind: int) -> None:
    images = pictures(5)
    assert torch.equal(AUGMENTS["strong"].apply(images, strong_draws(5, kind, 0.0)), images)


@pytest.mark.parametrize("kind", range(8))
@pytest.mark.parametrize("strength", [-0.5, 0.95])
def test_strong_views_are_pictures_still(kind: int, strength: float) -> None:
    """Smooth stays smooth (nothing wraps around 0 or 255), and every kind of operation does something."""
    line = torch.linspace(40, 250, 32)
    smooth = torch.stack([line.expand(32, 32), line[:, None].expand(32, 32), torch.full((32, 32), 128.0)], -1)
    images = smooth.round().to(torch.uint8)[None]
    seen = AUGMENTS["strong"].apply(images, strong_draws(1, kind, strength))
    assert not torch.equal(seen, images)
    jumps = [seen.int().diff(dim=axis).abs().max().item() for axis in (1, 2)]
    if kind <= 5:
        assert max(jumps) <= 40
    elif kind == 6:
        assert len(seen.unique()) <= (128 if strength < 0 else 8)
    else:
        level = 192 - 64 * strength
        assert torch.equal(seen, torch.where(images >= level, 255 - images, images))


def test_strong_views_differ_in_kind() -> None:
    """One picture, many views: hardly two alike, few beyond recognition."""
    images = pictures(1, 32).expand(200, -1, -1, -1)
    seen = views("strong", images, np.arange(200), 1)
    assert len({view.numpy().tobytes() for view in seen}) == 200
    means = seen.float().mean((1, 2, 3))
    assert means.min() > 5
    assert means.std() > 3
