"""Which trials of a search are halted early. One class a scheduler = how it is written; tuner runs them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from trainable.strict import Strict


def _whole_or_of_the_first(epochs: float) -> float:
    if epochs > 1 and not epochs.is_integer():
        raise ValueError("should be a whole number of epochs, or a part of the first one such as 0.25")
    return epochs


GraceEpochs = Annotated[
    float,
    Field(gt=0),
    AfterValidator(_whole_or_of_the_first),
    PlainSerializer(lambda epochs: int(epochs) if epochs >= 1 else epochs),  # a whole number is stored as one
]


class Asha(Strict):
    """Asynchronous successive halving: at each rung only the best share of the trials goes on."""

    kind: Literal["asha"] = "asha"
    grace_epochs: GraceEpochs = 1
    """the first rung; no trial is stopped before"""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """one trial in this many goes on, and a rung is this many times the one before"""
    within: tuple[str, ...] = ()
    """trials are compared only with those that have the same values of these fields"""


class PausingAsha(Strict):
    """Halving by promotion: every trial pauses at a rung, and only the best of all that came there go on."""

    kind: Literal["pausing_asha"] = "pausing_asha"
    grace_epochs: GraceEpochs = 1
    """the first rung, where every trial pauses"""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """one trial in this many goes on, and a rung is this many times the one before"""
    within: tuple[str, ...] = ()
    """trials are compared only with those that have the same values of these fields"""
    eager: bool = False
    """promote before all trials have started: some finish early, and more are promoted that later ones surpass"""


class OneEpoch(Strict):
    """Every trial trains for one epoch; the best few and the baseline go on to the end."""

    kind: Literal["one_epoch"] = "one_epoch"
    keep: Annotated[int, Field(ge=1)] = 3
    """trials that go on beside the baseline"""

    @property
    def grace_epochs(self) -> float:
        return 1

    @property
    def within(self) -> tuple[str, ...]:
        return ()


class NoScheduler(Strict):
    """Every trial trains for all its epochs."""

    kind: Literal["none"] = "none"


def _by_kind(given: Any) -> Any:
    return {"kind": given} if isinstance(given, str) else given


Halving = Asha | PausingAsha | OneEpoch
"""the schedulers under which some trials are halted before their last epoch"""

Scheduler = Annotated[
    Annotated[Halving | NoScheduler, Field(discriminator="kind")],
    BeforeValidator(_by_kind),
]
