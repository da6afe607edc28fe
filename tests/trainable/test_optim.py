from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trainable.optim import (
    Adam,
    AdamW,
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    OneCycleSchedule,
    PlateauSchedule,
    Schedule,
    Sgd,
    set_learning_rate,
)

LR, HEAD_LR, STEPS = 0.5, 1.0, 3


def optimizer() -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(2, 2))], "lr": rate, "weight_decay": 0.0} for rate in (LR, HEAD_LR)]
    return Sgd(kind="sgd", momentum=0).build(groups)


def rates(schedule: Schedule, losses: list[float]) -> list[list[list[float]]]:
    """Learning rates `[epochs][steps][groups]` as each step uses them, given each epoch's validation loss."""
    found = optimizer()
    stepper = schedule.build(found, len(losses), STEPS)
    history = []
    for loss in losses:
        used = []
        for _ in range(STEPS):
            used.append([group["lr"] for group in found.param_groups])
            found.step()
            stepper.after_step()
        history.append(used)
        stepper.after_epoch(loss)
    return history


def of_epochs(history: list[list[list[float]]], group: int = 0) -> list[float]:
    """One rate an epoch, which must not move within it."""
    assert all(step[group] == epoch[0][group] for epoch in history for step in epoch)
    return [epoch[0][group] for epoch in history]


def test_constant_stays() -> None:
    assert of_epochs(rates(ConstantSchedule(), [1.0] * 4)) == [LR] * 4


def test_cosine_falls_to_its_least_over_the_horizon() -> None:
    found = of_epochs(rates(CosineSchedule(kind="cosine", min_lr=0.1), [1.0] * 8))
    expected = [0.1 + (LR - 0.1) * (1 + math.cos(math.pi * epoch / 8)) / 2 for epoch in range(8)]
    assert found == pytest.approx(expected)


def test_exponential_is_multiplied_each_epoch() -> None:
    found = of_epochs(rates(ExponentialSchedule(kind="exponential", gamma=0.8), [1.0] * 5))
    assert found == pytest.approx([LR * 0.8**epoch for epoch in range(5)])


def test_plateau_bears_its_patience_then_cuts() -> None:
    losses = [1.0, 0.9, 0.95, 0.92, 0.91, 0.5, 0.5, 0.5, 0.5, 0.5]
    found = of_epochs(rates(PlateauSchedule(kind="plateau", patience_epochs=2, factor=0.5), losses))
    assert found == pytest.approx([LR] * 5 + [LR / 2] * 4 + [LR / 4])


def test_plateau_without_patience_cuts_at_the_first_worse_epoch() -> None:
    found = of_epochs(rates(PlateauSchedule(kind="plateau", patience_epochs=0, factor=0.1), [1.0, 2.0, 0.5, 0.4]))
    assert found == pytest.approx([LR, LR, LR / 10, LR / 10])


@pytest.mark.parametrize(("epochs", "share"), [(1, 0.3), (1, 0.99), (4, 0.01), (4, 0.5), (10, 0.3)])
def test_one_cycle_rises_to_the_rate_and_falls_to_nearly_nothing(epochs: int, share: float) -> None:
    history = rates(OneCycleSchedule(kind="one_cycle", warmup_fraction=share), [1.0] * epochs)
    line = [step[0] for epoch in history for step in epoch]
    peak = line.index(max(line))
    assert line[: peak + 1] == sorted(line[: peak + 1])
    assert line[peak:] == sorted(line[peak:], reverse=True)
    assert max(line) <= LR * (1 + 1e-9)
    if epochs == 10:
        assert max(line) > 0.99 * LR
        assert peak / len(line) == pytest.approx(share, abs=0.1)
        assert line[-1] < 0.02 * LR


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 0.75, 0.99]))
def test_one_cycle_fits_any_number_of_steps(epochs: int, steps: int, share: float) -> None:
    found = optimizer()
    stepper = OneCycleSchedule(kind="one_cycle", warmup_fraction=share).build(found, epochs, steps)
    for _ in range(epochs * steps):
        assert 0 < found.param_groups[0]["lr"] <= LR * (1 + 1e-9)
        found.step()
        stepper.after_step()


@pytest.mark.parametrize(
    "schedule",
    [
        ConstantSchedule(),
        PlateauSchedule(kind="plateau", patience_epochs=0),
        CosineSchedule(kind="cosine"),
        ExponentialSchedule(kind="exponential"),
        OneCycleSchedule(kind="one_cycle"),
    ],
    ids=lambda schedule: schedule.kind,
)
def test_the_head_keeps_its_multiple_and_a_stepper_can_be_restored(schedule: Schedule) -> None:
    whole = rates(schedule, [1.0, 2.0, 3.0, 4.0])
    for epoch in whole:
        for backbone, head in epoch:
            assert head == pytest.approx(backbone * HEAD_LR / LR, abs=1e-12)
    first = optimizer()
    stepper = schedule.build(first, 4, STEPS)
    for loss in (1.0, 2.0):
        for _ in range(STEPS):
            first.step()
            stepper.after_step()
        stepper.after_epoch(loss)
    second = optimizer()
    restored = schedule.build(second, 4, STEPS)
    second.load_state_dict(first.state_dict())
    restored.load_state_dict(stepper.state_dict())
    assert [group["lr"] for group in second.param_groups] == whole[2][0]


def test_without_a_validation_loss_only_plateau_stays() -> None:
    for schedule, moves in (
        (PlateauSchedule(kind="plateau", patience_epochs=0), False),
        (CosineSchedule(kind="cosine"), True),
    ):
        found = optimizer()
        stepper = schedule.build(found, 4, STEPS)
        for _ in range(3):
            found.step()
            stepper.after_epoch(None)
        assert (found.param_groups[0]["lr"] < LR) == moves


def test_a_set_learning_rate_keeps_the_others_in_proportion() -> None:
    found = optimizer()
    for rate in (LR, 0.1, 0.3, 1e-6):
        set_learning_rate(found, rate)
        assert [group["lr"] for group in found.param_groups] == [rate, pytest.approx(rate * HEAD_LR / LR)]


def stepped(choice: Adam | AdamW | Sgd, weight_decay: float) -> float:
    """Where a weight of 1 with a gradient of 0 is after a step at learning rate 0.1."""
    weight = nn.Parameter(torch.ones(1))
    built = choice.build([{"params": [weight], "lr": 0.1, "weight_decay": weight_decay}])
    weight.grad = torch.zeros(1)
    built.step()
    return weight.item()


def test_weight_decay_is_decoupled_in_adamw_alone() -> None:
    assert stepped(AdamW(), 0.5) == pytest.approx(0.95)
    assert stepped(Adam(kind="adam"), 0.5) == pytest.approx(0.9, abs=1e-4)  # a whole step along the decay's gradient
    assert stepped(Sgd(kind="sgd", momentum=0), 0.5) == pytest.approx(0.95)


def test_nesterov_momentum_looks_ahead() -> None:
    weight = nn.Parameter(torch.zeros(1))
    built = Sgd(kind="sgd", momentum=0.9).build([{"params": [weight], "lr": 1.0, "weight_decay": 0.0}])
    weight.grad = torch.ones(1)
    built.step()
    assert weight.item() == pytest.approx(-1.9)
