from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_trials import small_config

from trainable.classifier import Classifier, build_classifier
from trainable.errors import UserError
from trainable.freezing import CHUNK_IMAGES, blocks_to_freeze, frozen_features, parameter_groups


@given(st.integers(1, 100), st.data())
def test_what_freeze_means(blocks: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, blocks))
    assert blocks_to_freeze(count, blocks, "x") == count
    assert blocks_to_freeze("all", blocks, "x") == blocks
    percent = data.draw(st.integers(0, 100))
    assert blocks_to_freeze(f"{percent}%", blocks, "x") == math.floor(Fraction(blocks * percent, 100))


def test_more_blocks_than_there_are_is_refused() -> None:
    with pytest.raises(UserError, match="freeze: 6 is more than the 5 blocks of resnet18; give 0 to 5, or 'all'"):
        blocks_to_freeze(6, 5, "resnet18")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return build_classifier(small_config(head={"kind": "mlp", "width": 8}), 3, None)


@pytest.mark.parametrize("frozen", [0, 2, 5])
def test_each_trained_parameter_is_in_one_group_at_its_rate(classifier: Classifier, frozen: int) -> None:
    classifier.freeze(frozen)
    groups = parameter_groups(classifier, lr=0.1, head_lr=0.3, weight_decay=0.01)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(rates)
    trained = {name: p for name, p in classifier.named_parameters() if p.requires_grad}
    assert {id(p) for p in trained.values()} == rates.keys()
    for name, parameter in trained.items():
        lr, decay = rates[id(parameter)]
        assert lr == (0.3 if name.startswith("head.") else 0.1)
        assert decay == (0.01 if parameter.ndim >= 2 else 0.0)
    assert {name.split(".")[0] for name in trained} == ({"head"} if frozen == 5 else {"blocks", "head"})
    assert all(int(name.split(".")[1]) >= frozen for name in trained if name.startswith("blocks."))


@pytest.mark.parametrize("frozen", [0, 3, 4, 5])
def test_blocks_before_the_last_learn_at_less_and_the_head_at_its_own(classifier: Classifier, frozen: int) -> None:
    classifier.freeze(frozen)
    groups = parameter_groups(classifier, lr=0.1, head_lr=0.3, weight_decay=0.0, block_lr_decay=0.5)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    for name, parameter in classifier.named_parameters():
        if name.startswith("head."):
            assert rates[id(parameter)] == 0.3
        elif parameter.requires_grad:
            assert rates[id(parameter)] == pytest.approx(0.1 * 0.5 ** (4 - int(name.split(".")[1])))
    assert groups[0]["lr"] == (0.3 if frozen == 5 else 0.1)  # the rate that is reported


def test_the_neck_learns_with_the_last_block() -> None:
    classifier = build_classifier(small_config(backbone="timm:test_convnext"), 3, None)
    classifier.freeze(1)
    groups = parameter_groups(classifier, lr=0.1, head_lr=0.3, weight_decay=0.0, block_lr_decay=0.5)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    neck = list(classifier.neck.parameters())
    assert neck
    assert {rates[id(p)] for p in neck} == {0.1}


@pytest.mark.parametrize("images", [1, CHUNK_IMAGES - 1, CHUNK_IMAGES, CHUNK_IMAGES + 1, 2 * CHUNK_IMAGES])
@pytest.mark.parametrize("frozen", [0, 2, 5])
def test_the_prefix_in_chunks_is_the_prefix(classifier: Classifier, frozen: int, images: int) -> None:
    classifier.eval().freeze(frozen)
    pictures = torch.rand(images, 3, 32, 32)
    features = frozen_features(classifier, pictures)
    with torch.no_grad():
        expected = classifier.prefix(pictures)
    assert features.shape == expected.shape
    assert not features.requires_grad
    assert torch.allclose(features, expected, rtol=1e-4, atol=1e-5)
