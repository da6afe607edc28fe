from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch.nn import functional

from trainable.losses import Balance, CrossEntropyLoss, FocalLoss, unweighted_loss
from trainable.task import Task

CPU = torch.device("cpu")
COUNTS = np.array([1, 10, 50, 0])
IMAGES = 100


@pytest.mark.parametrize(
    ("pos_weight", "expected"),
    [("balanced", [99, 9, 1, 100]), ("sqrt_balanced", [99**0.5, 3, 1, 10]), (2.5, [2.5] * 4)],
)
def test_positives_are_weighed_by_the_training_counts(pos_weight: Any, expected: list[float]) -> None:
    weights = CrossEntropyLoss(pos_weight=pos_weight, pos_weight_cap=1000).weights("multilabel", COUNTS, IMAGES)
    assert weights == pytest.approx(expected)
    capped = CrossEntropyLoss(pos_weight=pos_weight, pos_weight_cap=2).weights("multilabel", COUNTS, IMAGES)
    assert capped == pytest.approx(np.minimum(expected, 2))


def test_classes_are_weighed_by_their_share() -> None:
    counts = np.array([10, 90])
    assert CrossEntropyLoss(pos_weight="balanced").weights("multiclass", counts, 100) == pytest.approx([5, 100 / 180])
    expected = [5**0.5, (100 / 180) ** 0.5]
    assert CrossEntropyLoss(pos_weight="sqrt_balanced").weights("multiclass", counts, 100) == pytest.approx(expected)


@settings(deadline=None)
@given(
    st.sampled_from(get_args(Balance)),
    st.sampled_from(get_args(Task)),
    st.lists(st.integers(0, 50), min_size=2, max_size=6),
    st.floats(1, 100),
)
def test_weights_are_positive_and_capped(pos_weight: Balance, task: Task, counts: list[int], cap: float) -> None:
    loss = CrossEntropyLoss(pos_weight=pos_weight, pos_weight_cap=cap)
    weights = loss.weights(task, np.array(counts), max(*counts, 50))
    if pos_weight == "none":
        assert weights is None
        return
    assert weights is not None
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert (weights <= np.float32(cap)).all()


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), 1e5, True, "heavy", "3", None])
def test_pos_weights_that_are_refused(bad: Any) -> None:
    with pytest.raises(ValidationError, match="must be none, balanced, sqrt_balanced or a number"):
        TypeAdapter(CrossEntropyLoss).validate_python({"pos_weight": bad})


def logits_and_targets(task: Task, images: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(images, len(COUNTS), generator=generator)
    if task == "multilabel":
        return logits, (torch.rand(logits.shape, generator=generator) < 0.4).float()
    return logits, torch.randint(len(COUNTS), (images,), generator=generator)


def test_the_multi_label_loss_by_hand() -> None:
    logits, targets = logits_and_targets("multilabel", 20)
    loss = CrossEntropyLoss(pos_weight=3.0, label_smoothing=0.2).build("multilabel", COUNTS, IMAGES, CPU)
    softened = targets * 0.8 + 0.1
    p = logits.double().sigmoid()
    by_hand = -(3 * softened * p.log() + (1 - softened) * (1 - p).log()).mean()
    assert loss(logits, targets).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_multi_class_loss_by_hand() -> None:
    logits, targets = logits_and_targets("multiclass", 20)
    chosen = CrossEntropyLoss(pos_weight="balanced", label_smoothing=0.2)
    weights = torch.from_numpy(chosen.weights("multiclass", COUNTS, IMAGES)).double()  # type: ignore[arg-type]
    softened = functional.one_hot(targets, len(COUNTS)) * 0.8 + 0.2 / len(COUNTS)
    by_hand = -(weights * softened * logits.double().log_softmax(1)).sum(1).mean()
    loss = chosen.build("multiclass", COUNTS, IMAGES, CPU)
    assert loss(logits, targets).item() == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize("task", get_args(Task))
def test_the_reported_loss_is_unweighted_and_unsmoothed(task: Task) -> None:
    logits, targets = logits_and_targets(task, 20)
    plain = CrossEntropyLoss().build(task, COUNTS, IMAGES, CPU)
    assert unweighted_loss(logits, targets, task).item() == pytest.approx(plain(logits, targets).item(), rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(get_args(Task)),
    st.sampled_from(["none", "balanced", "sqrt_balanced"]),
    st.sampled_from([0.0, 0.1]),
    st.integers(2, 20),
    st.integers(1, 19),
    st.integers(0, 100),
)
def test_a_batch_loses_what_its_parts_lose(
    task: Task, pos_weight: Balance, smoothing: float, images: int, cut: int, seed: int
) -> None:
    """The mean over images, so that the gradients of micro-batches add up to the batch's."""
    cut = min(cut, images - 1)
    logits, targets = logits_and_targets(task, images, seed)
    loss = CrossEntropyLoss(pos_weight=pos_weight, label_smoothing=smoothing).build(task, COUNTS, IMAGES, CPU)
    parts = cut * loss(logits[:cut], targets[:cut]) + (images - cut) * loss(logits[cut:], targets[cut:])
    assert loss(logits, targets).item() == pytest.approx(parts.item() / images, rel=1e-5)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_a_focal_loss_without_focus_is_cross_entropy(task: Task) -> None:
    logits, targets = logits_and_targets(task, 20)
    plain = CrossEntropyLoss(pos_weight="balanced", label_smoothing=0.1).build(task, COUNTS, IMAGES, CPU)
    focal = FocalLoss(kind="focal", gamma=0, pos_weight="balanced", label_smoothing=0.1)
    assert torch.allclose(focal.build(task, COUNTS, IMAGES, CPU)(logits, targets), plain(logits, targets))


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_a_focal_loss_is_torchvisions(task: Task) -> None:
    from torchvision.ops import sigmoid_focal_loss

    logits, targets = logits_and_targets(task, 20)
    found = FocalLoss(kind="focal").build(task, COUNTS, IMAGES, CPU)(logits, targets)
    if task == "multilabel":
        expected = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=2, reduction="mean")
    else:
        likelihood = logits.softmax(1).gather(1, targets[:, None])[:, 0]
        expected = (-likelihood.log() * (1 - likelihood) ** 2).mean()
    assert torch.allclose(found, expected)


def test_a_focal_loss_takes_mixed_classes() -> None:
    logits, targets = logits_and_targets("multiclass", 20)
    soft = torch.nn.functional.one_hot(targets, logits.shape[1]).float()
    loss = FocalLoss(kind="focal").build("multiclass", COUNTS, IMAGES, CPU)
    assert torch.allclose(loss(logits, soft), loss(logits, targets))


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_a_sure_and_right_decision_keeps_gradients_finite(task: Task, gamma: float) -> None:
    _, targets = logits_and_targets(task, 20)
    right = targets if task == "multilabel" else functional.one_hot(targets, len(COUNTS))
    logits = (80.0 * right.float() - 40).requires_grad_()
    FocalLoss(kind="focal", gamma=gamma).build(task, COUNTS, IMAGES, CPU)(logits, targets).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
