"""Averages of weights: what is scored and kept instead of the weights that the optimiser moves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from trainable.strict import Strict

if TYPE_CHECKING:
    import torch
    from torch.optim.swa_utils import AveragedModel

    from trainable.classifier import Classifier


class Average:
    """The classifier that is scored: the trained one itself until there is an average, then the average.

    Only the suffix is averaged: the frozen prefix is shared, the same to the bit and not twice in memory.
    """

    def __init__(
        self,
        classifier: Classifier,
        averaged: AveragedModel | None = None,
        every: Literal["step", "epoch"] = "step",
        from_epoch: int = 1,
    ) -> None:
        """An average of `classifier.suffix`, kept in `averaged`; without one, of nothing.

        Args:
            every: what it takes the weights after.
            from_epoch: the first epoch of the stage (from 1) whose weights it takes.
        """
        self._classifier = classifier
        self._averaged = averaged
        self._with_average = classifier.with_suffix(averaged.module.children()) if averaged else classifier
        self._every = every
        self._from_epoch = from_epoch

    @property
    def scored(self) -> Classifier:
        """The averaged classifier once it has begun, else the plain one."""
        begun = self._averaged is not None and self._averaged.n_averaged > 0
        return self._with_average if begun else self._classifier

    def after_step(self) -> None:
        """Take in the weights after an optimiser step."""
        if self._averaged and self._every == "step":
            self._averaged.update_parameters(self._classifier.suffix)

    def after_epoch(self, epoch: int, features: Iterable[torch.Tensor]) -> None:
        """Take in the weights after an epoch of the stage (from 1), and estimate the suffix's BatchNorm for them.

        Args:
            epoch: of the stage.
            features: batches of the prefix's output on training images; not asked for where nothing needs them.
        """
        if self._averaged is None or self._every != "epoch" or epoch < self._from_epoch:
            return
        from torch.optim.swa_utils import update_bn

        self._averaged.update_parameters(self._classifier.suffix)
        if not self._classifier.batch_norm_frozen:
            update_bn(features, self._averaged)

    def state_dict(self) -> dict[str, Any]:
        return self._averaged.state_dict() if self._averaged else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._averaged:
            self._averaged.load_state_dict(state)


class NoAveraging(Strict):
    """The weights as the optimiser leaves them."""

    kind: Literal["none"] = "none"

    def build(self, classifier: Classifier, epochs: int) -> Average:  # noqa: ARG002
        """The average over the last stage, of so many epochs, as for every kind of averaging."""
        return Average(classifier)


class StochasticWeightAveraging(Strict):
    """The mean of the weights after each of the last epochs (Izmailov et al., 2018)."""

    kind: Literal["swa"]
    start: Annotated[float, Field(ge=0, lt=1)] = 0.75
    """share of the last stage's epochs that are over before averaging starts, rounded down; at 1 none would be left"""

    def build(self, classifier: Classifier, epochs: int) -> Average:
        from torch.optim.swa_utils import AveragedModel

        averaged = AveragedModel(classifier.suffix)
        return Average(classifier, averaged, "epoch", from_epoch=math.floor(self.start * epochs) + 1)


class ExponentialMovingAverage(Strict):
    """The exponential moving average of the weights and buffers after each step (Polyak and Juditsky, 1992)."""

    kind: Literal["ema"]
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """what remains of the average at each step: it remembers about 1 / (1 - decay) of them"""

    def build(self, classifier: Classifier, epochs: int) -> Average:  # noqa: ARG002
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

        weigh = get_ema_multi_avg_fn(self.decay)  # type: ignore[no-untyped-call]
        return Average(classifier, AveragedModel(classifier.suffix, multi_avg_fn=weigh, use_buffers=True))


Averaging = Annotated[
    NoAveraging | StochasticWeightAveraging | ExponentialMovingAverage,
    Field(discriminator="kind"),
]
