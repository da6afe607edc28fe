from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from trainable.heads import DropoutLinearHead, Head, LinearHead, MlpHead, TwoLinearHead

HEADS = [
    LinearHead(),
    DropoutLinearHead(kind="dropout_linear", dropout=0.5),
    MlpHead(kind="mlp", dropout=0.5, width=7),
    TwoLinearHead(kind="two_linear", dropout=0.5, width=7),
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_a_head_makes_logits_of_features(head: Head) -> None:
    built = head.build(11, 4)
    assert built(torch.rand(5, 11)).shape == (5, 4)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_dropout_acts_in_training_only(head: Head) -> None:
    built, features = head.build(64, 4), torch.rand(5, 64)
    built.train()
    assert torch.equal(built(features), built(features)) == isinstance(head, LinearHead)
    built.eval()
    assert torch.equal(built(features), built(features))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_only_the_mlp_bends(head: Head) -> None:
    built = head.build(16, 4).eval()
    one, other = torch.randn(50, 16), torch.randn(50, 16)
    middle = (built(one) + built(other)) / 2
    assert torch.allclose(built((one + other) / 2), middle, atol=1e-5) == (head.kind != "mlp")


@pytest.mark.parametrize("kind", ["mlp", "two_linear"])
def test_width_is_that_of_the_middle(kind: str) -> None:
    built = TypeAdapter(Head).validate_python({"kind": kind, "width": 7}).build(11, 4)
    shapes = [tuple(layer.weight.shape) for layer in built.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(7, 11), (4, 7)]
