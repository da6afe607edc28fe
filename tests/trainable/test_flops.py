"""FLOPs against published ones, and what of a trial can be shared."""

from __future__ import annotations

import pytest
from small_trials import TINY, small_config

from trainable.errors import UserError
from trainable.flops import Prefix, forward_flops, trial_flops

IMAGES = {"labels": 3, "train_images": 100, "val_images": 20}


@pytest.mark.parametrize(
    ("backbone", "image_size", "gflop"),
    [  # torchvision's published multiply-adds, twice; lite0 is EfficientNet-B0 without squeeze and excitation
        ("resnet18", 224, 2 * 1.814),
        ("mobilenet_v3_large", 224, 2 * 0.217),
        ("efficientnet_b0", 224, 2 * 0.386),
        pytest.param("resnet50", 224, 2 * 4.089, marks=pytest.mark.real),
        pytest.param("efficientnet_v2_l", 480, 2 * 56.080, marks=pytest.mark.real),
    ],
)
def test_as_published(backbone: str, image_size: int, gflop: float) -> None:
    found = forward_flops(backbone, image_size)
    assert (sum(found.blocks) + found.neck) / 1e9 == pytest.approx(gflop, rel=0.02)


def test_a_timm_model_is_counted_block_by_block() -> None:
    small, large = forward_flops(TINY, 32), forward_flops(TINY, 64)
    assert len(small.blocks) == 5
    assert sum(large.blocks) == pytest.approx(4 * sum(small.blocks), rel=0.01)


def test_an_epoch_is_three_passes_of_what_is_trained_and_the_prefix_once() -> None:
    forward = forward_flops(TINY, 32)
    head = 2 * forward.features * 3
    found = trial_flops(small_config(freeze=2, epochs=4), **IMAGES)
    suffix = sum(forward.blocks[2:]) + forward.neck + head
    assert found.own == 4 * suffix * (3 * 100 + 20)
    assert found.shared == {Prefix(TINY, 0, 32, 2, "none"): sum(forward.blocks[:2]) * 120}


def test_views_of_every_epoch_pass_the_prefix() -> None:
    forward = forward_flops(TINY, 32)
    (augmented,) = trial_flops(small_config(freeze=2, epochs=4, augment="light"), **IMAGES).shared.values()
    assert augmented == sum(forward.blocks[:2]) * (4 * 100 + 20)


def test_mixed_images_are_not_shared() -> None:
    plain = trial_flops(small_config(freeze=2), **IMAGES)
    mixed = trial_flops(small_config(freeze=2, mix={"kind": "mixup"}), **IMAGES)
    prefix = sum(forward_flops(TINY, 32).blocks[:2])
    assert mixed.own == plain.own + 2 * prefix * 100
    assert list(mixed.shared.values()) == [prefix * 20]


def test_nothing_is_shared_where_nothing_is_frozen() -> None:
    assert trial_flops(small_config(freeze=0), **IMAGES).shared == {}


def test_a_warm_up_has_a_prefix_of_its_own() -> None:
    found = trial_flops(small_config(freeze=2, epochs=4, head_warmup_epochs=1), **IMAGES)
    assert sorted(prefix.blocks for prefix in found.shared) == [2, 5]
    assert found.own < trial_flops(small_config(freeze=2, epochs=4), **IMAGES).own


def test_random_weights_are_shared_by_seed() -> None:
    (one,), (other,) = (trial_flops(small_config(seed=seed), **IMAGES).shared for seed in (1, 2))
    assert one != other


def test_freezing_too_much_is_a_mistake() -> None:
    with pytest.raises(UserError, match="99 is more than the 5 blocks"):
        trial_flops(small_config(freeze=99), **IMAGES)
