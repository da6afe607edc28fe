"""Which trials of a search are halted early. One class a scheduler = how it is written; tuner runs them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, TypeAdapter, ValidationError

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


def rung_levels(grace_epochs: float, reduction_factor: float, max_epochs: float) -> tuple[float, ...]:
    """Rungs at grace_epochs * reduction_factor**k epochs, below max_epochs.

    Raises:
        ValueError: grace_epochs is not above 0 or reduction_factor not above 1.
    """
    if grace_epochs <= 0 or reduction_factor <= 1:
        raise ValueError(f"rungs need grace_epochs > 0 and reduction_factor > 1: {grace_epochs}, {reduction_factor}")
    levels = []
    level = grace_epochs
    while level < max_epochs:
        levels.append(round(level, 9))  # three times 0.1 is a little more than 0.3
        level *= reduction_factor
    return tuple(levels)


class Asha(Strict):
    """Asynchronous successive halving: at each rung only the best share of the trials goes on."""

    kind: Literal["asha"] = "asha"
    grace_epochs: GraceEpochs = 1
    """the first rung; no trial is stopped before"""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """one trial in this many goes on, and a rung is this many times the one before"""
    within: tuple[str, ...] = ()
    """trials are compared only with those that have the same values of these fields"""

    def rungs(self, max_epochs: float) -> tuple[float, ...]:
        """The epochs at which it decides, for trials of so many."""
        return rung_levels(self.grace_epochs, self.reduction_factor, max_epochs)


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

    def rungs(self, max_epochs: float) -> tuple[float, ...]:
        """The epochs at which it decides, for trials of so many."""
        return rung_levels(self.grace_epochs, self.reduction_factor, max_epochs)


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

    def rungs(self, max_epochs: float) -> tuple[float, ...]:
        """The epochs at which it decides, for trials of so many."""
        return (1,) if max_epochs > 1 else ()


class NoScheduler(Strict):
    """Every trial trains for all its epochs."""

    kind: Literal["none"] = "none"

    def rungs(self, max_epochs: float) -> tuple[float, ...]:  # noqa: ARG002
        return ()


def _by_kind(given: Any) -> Any:
    return {"kind": given} if isinstance(given, str) else given


Halving = Asha | PausingAsha | OneEpoch
"""the schedulers under which some trials are halted before their last epoch"""

Scheduler = Annotated[
    Annotated[Halving | NoScheduler, Field(discriminator="kind")],
    BeforeValidator(_by_kind),
]


def stored_scheduler(stored: object) -> Halving | NoScheduler:
    """What a log says of its scheduler; none where it cannot be read."""
    try:
        return TypeAdapter[Halving | NoScheduler](Scheduler).validate_python(stored)
    except ValidationError:
        return NoScheduler()
