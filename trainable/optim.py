"""Optimisers and learning-rate schedules. One class a choice = its fields + `build`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from trainable.strict import Strict

if TYPE_CHECKING:
    from torch import optim

LearningRate = Annotated[float, Field(gt=0, le=10)]
ParameterGroups = list[dict[str, Any]]


class _Optimizer(Strict):
    """Fields that every optimiser has."""

    lr: LearningRate = 1e-3
    """learning rate of the backbone's trained blocks"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """applies to weights of two or more dimensions, never to biases and normalisation"""
    head_lr_multiplier: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """the head's learning rate is `lr` times this"""
    block_lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """each block's learning rate is this times that of the block after it; the last one's is `lr`"""
    clip_grad_norm: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """the most that the norm of all gradients together may be at a step"""


class Adam(_Optimizer):
    """Adam; weight decay is added to the gradient (Kingma and Ba, 2015)."""

    kind: Literal["adam"]

    def build(self, groups: ParameterGroups) -> optim.Optimizer:
        """The optimiser over parameter groups that carry their own `lr` and `weight_decay`, as for every optimiser."""
        from torch import optim

        return optim.Adam(groups, fused=True)


class AdamW(_Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    kind: Literal["adamw"] = "adamw"

    def build(self, groups: ParameterGroups) -> optim.Optimizer:
        from torch import optim

        return optim.AdamW(groups, fused=True)


class Sgd(_Optimizer):
    """Stochastic gradient descent with Nesterov momentum."""

    kind: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9

    def build(self, groups: ParameterGroups) -> optim.Optimizer:
        from torch import optim

        return optim.SGD(groups, momentum=self.momentum, nesterov=self.momentum > 0, fused=True)


Optimizer = Annotated[Adam | AdamW | Sgd, Field(discriminator="kind")]


class Stepper:
    """Moves the learning rate: `after_step` once a batch, `after_epoch` once an epoch with the unweighted loss."""

    def __init__(
        self, scheduler: optim.lr_scheduler.LRScheduler | None, every: Literal["step", "epoch", "loss"]
    ) -> None:
        self._scheduler = scheduler
        self._every = every

    def after_step(self) -> None:
        if self._scheduler and self._every == "step":
            self._scheduler.step()

    def after_epoch(self, val_loss: float | None) -> None:
        """None: there is no validation, and a schedule that watches it stays where it is."""
        if self._scheduler and self._every == "epoch":
            self._scheduler.step()
        elif self._scheduler and self._every == "loss" and val_loss is not None:
            self._scheduler.step(val_loss)  # type: ignore[arg-type]  # ReduceLROnPlateau takes the loss, not an epoch

    def state_dict(self) -> dict[str, Any]:
        return self._scheduler.state_dict() if self._scheduler else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._scheduler:
            self._scheduler.load_state_dict(state)


def set_learning_rate(optimizer: optim.Optimizer, lr: float) -> None:
    """Give the first group this learning rate, and the others theirs in proportion."""
    first = optimizer.param_groups[0]["lr"]
    for group in optimizer.param_groups:
        group["lr"] = lr if group["lr"] == first else group["lr"] * (lr / first)


class ConstantSchedule(Strict):
    """The learning rate as given, throughout."""

    kind: Literal["constant"] = "constant"

    def build(self, optimizer: optim.Optimizer, epochs: int, steps_per_epoch: int) -> Stepper:  # noqa: ARG002
        """A stepper over a horizon of `epochs`, as for every schedule."""
        return Stepper(None, "epoch")


class PlateauSchedule(Strict):
    """ReduceLROnPlateau on the unweighted validation loss, once an epoch."""

    kind: Literal["plateau"]
    patience_epochs: Annotated[int, Field(ge=0)] = 2
    """epochs without a better loss that are borne; the next one cuts the learning rate"""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def build(self, optimizer: optim.Optimizer, epochs: int, steps_per_epoch: int) -> Stepper:  # noqa: ARG002
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        return Stepper(ReduceLROnPlateau(optimizer, factor=self.factor, patience=self.patience_epochs), "loss")


class CosineSchedule(Strict):
    """CosineAnnealingLR from `lr` to `min_lr` over the horizon, stepped once an epoch."""

    kind: Literal["cosine"]
    min_lr: Annotated[float, Field(ge=0)] = 0.0

    def build(self, optimizer: optim.Optimizer, epochs: int, steps_per_epoch: int) -> Stepper:  # noqa: ARG002
        from torch.optim.lr_scheduler import CosineAnnealingLR

        return Stepper(CosineAnnealingLR(optimizer, T_max=epochs, eta_min=self.min_lr), "epoch")


class ExponentialSchedule(Strict):
    """ExponentialLR: multiplied by `gamma` after each epoch."""

    kind: Literal["exponential"]
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.9

    def build(self, optimizer: optim.Optimizer, epochs: int, steps_per_epoch: int) -> Stepper:  # noqa: ARG002
        from torch.optim.lr_scheduler import ExponentialLR

        return Stepper(ExponentialLR(optimizer, gamma=self.gamma), "epoch")


class OneCycleSchedule(Strict):
    """Warm-up to `lr` over a share of the steps, then cosine down (Smith and Topin, 2018), stepped once a batch."""

    kind: Literal["one_cycle"]
    warmup_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3

    def build(self, optimizer: optim.Optimizer, epochs: int, steps_per_epoch: int) -> Stepper:
        from torch.optim.lr_scheduler import OneCycleLR

        peaks = [group["lr"] for group in optimizer.param_groups]
        # one step more than are taken: the last one taken is not yet at the end
        steps = epochs * steps_per_epoch + 1
        return Stepper(
            OneCycleLR(
                optimizer,
                max_lr=peaks,
                total_steps=steps,
                # OneCycleLR divides by zero where the warm-up is one step exactly
                pct_start=max(self.warmup_fraction, (1 + 1e-6) / steps),
                cycle_momentum=False,
            ),
            "step",
        )


Schedule = Annotated[
    ConstantSchedule | PlateauSchedule | CosineSchedule | ExponentialSchedule | OneCycleSchedule,
    Field(discriminator="kind"),
]
