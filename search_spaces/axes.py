"""Axes: what one field of a config may be. One class a kind of axis = how it is written and what it can take."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, field_validator

from search_spaces.fields import CONFIG_FIELDS, as_read
from trainable.strict import Strict

Value = Any
"""what YAML holds: text, a number, a boolean, null, or (for `stages`) a list"""


def same(one: Value, other: Value) -> bool:
    """Equality in which `true` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def among(value: Value, values: Iterable[Value]) -> bool:
    """Whether a value is one of several."""
    return any(same(value, other) for other in values)


def shown(value: Value) -> str:
    """A value as YAML writes it; what is null in a mapping is left out."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {shown(part)}' for key, part in value.items() if part is not None)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


class _Axis(Strict):
    when: Annotated[dict[str, tuple[Value, ...]], Field(default_factory=dict)]
    """the axis exists only where each of these paths has one of its values"""

    @field_validator("when", mode="before")
    @classmethod
    def _single_values(cls, when: Any) -> Any:
        if not isinstance(when, Mapping):
            return when
        return {path: given if isinstance(given, list | tuple) else (given,) for path, given in when.items()}


class _Range(_Axis):
    def _order_mistakes(self, low: float, high: float, log: bool) -> list[str]:
        mistakes = []
        if low >= high:
            mistakes.append(f"low {shown(low)} must be below high {shown(high)}")
        if log and low <= 0:
            mistakes.append(f"low {shown(low)} must be above 0 where log is true")
        return mistakes


class FloatRange(_Range):
    """`{float: [low, high], log: true}`: any number from low to high, both included."""

    bounds: Annotated[tuple[float, float], Field(alias="float")]
    log: bool = False
    """equal chances to equal factors"""

    @property
    def low(self) -> float:
        return self.bounds[0]

    @property
    def high(self) -> float:
        return self.bounds[1]

    def ends(self) -> list[tuple[str, Value]]:
        """What to try to know the axis, and what its author calls each, as for every axis."""
        return [("low", self.low), ("high", self.high)]

    def values(self) -> Sequence[Value] | None:
        """Everything it can take, in order; None where that cannot be listed."""
        return None

    def holds(self, value: Value) -> bool:
        """Whether it can take a value."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def draw(self, rng: random.Random) -> Value:
        """A random value."""
        if not self.log:
            return rng.uniform(self.low, self.high)
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)  # exp(log(x)) may miss x by a rounding

    def mistakes(self, path: str) -> list[str]:
        """What is wrong with it as the axis of a field."""
        if float not in CONFIG_FIELDS[path].numbers:
            holds_whole = int in CONFIG_FIELDS[path].numbers
            remedy = "whole numbers: use {int: [low, high]}" if holds_whole else "no numbers: use {choice: [...]}"
            return [f"{path} takes {remedy}"]
        return self._order_mistakes(self.low, self.high, self.log)


class IntRange(_Range):
    """`{int: [low, high], log: true}` or `{int: [low, high], step: n}`: whole numbers from low up to high."""

    bounds: Annotated[tuple[int, int], Field(alias="int")]
    log: bool = False
    """equal chances to equal factors"""
    step: Annotated[int, Field(ge=1)] = 1
    """only low, low + step, low + 2 step, ... up to high"""

    @property
    def low(self) -> int:
        return self.bounds[0]

    @property
    def high(self) -> int:
        return self.bounds[1]

    @property
    def last(self) -> int:
        """The largest value that is reached: high, or less where the steps do not meet it."""
        return self.low + (self.high - self.low) // self.step * self.step

    def text(self) -> str:
        """What it takes, for a message."""
        return f"{self.low} to {self.high}" + (f" in steps of {self.step}" if self.step > 1 else "")

    def ends(self) -> list[tuple[str, Value]]:
        return [("low", self.low), ("high" if self.last == self.high else "last step", self.last)]

    def values(self) -> Sequence[Value] | None:
        return range(self.low, self.high + 1, self.step)

    def holds(self, value: Value) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def draw(self, rng: random.Random) -> Value:
        if self.log:
            drawn = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
            return min(max(round(drawn), self.low), self.high)
        return rng.randrange(self.low, self.high + 1, self.step)

    def mistakes(self, path: str) -> list[str]:
        if not CONFIG_FIELDS[path].numbers:
            return [f"{path} takes no numbers: use {{choice: [...]}}"]
        mistakes = self._order_mistakes(self.low, self.high, self.log)
        if self.log and self.step != 1:
            mistakes.append(f"step {self.step} and log exclude each other; drop one")
        if self.low < self.high < self.low + self.step:
            mistakes.append(f"step {self.step} is longer than the range from {self.low} to {self.high}; shorten it")
        return mistakes


class Choice(_Axis):
    """`{choice: [a, b, c]}`: one of the options."""

    options: Annotated[tuple[Value, ...], Field(alias="choice")]

    def text(self) -> str:
        return ", ".join(map(shown, self.options))

    def ends(self) -> list[tuple[str, Value]]:
        return [("option", option) for option in self.options]

    def values(self) -> Sequence[Value] | None:
        return self.options

    def holds(self, value: Value) -> bool:
        return among(value, self.options)

    def draw(self, rng: random.Random) -> Value:
        return rng.choice(self.options)

    def mistakes(self, path: str) -> list[str]:  # noqa: ARG002
        if not self.options:
            return ["has no options; give at least one"]
        seen: list[Value] = []
        twice: list[Value] = []
        for option in self.options:
            if among(option, seen) and not among(option, twice):
                twice.append(option)
            seen.append(option)
        return [f"option {shown(option)} is given more than once; keep one" for option in twice]


AXES: dict[str, type[FloatRange] | type[IntRange] | type[Choice]] = {
    "float": FloatRange,
    "int": IntRange,
    "choice": Choice,
}


def _kind(given: Any) -> str | None:
    """Which axis is meant: each has a key of its own."""
    if isinstance(given, _Axis):
        return next(kind for kind, axis in AXES.items() if isinstance(given, axis))
    kinds = [kind for kind in AXES if isinstance(given, Mapping) and kind in given]
    return kinds[0] if len(kinds) == 1 else None


Axis = Annotated[
    Annotated[FloatRange, Tag("float")] | Annotated[IntRange, Tag("int")] | Annotated[Choice, Tag("choice")],
    Discriminator(_kind),
]


def axis_as_read(path: str, axis: FloatRange | IntRange | Choice) -> FloatRange | IntRange | Choice:
    """An axis with its options and conditions as a config holds them (`1` for a learning rate is 1.0)."""
    when = {parent: tuple(as_read(parent, value) for value in values) for parent, values in axis.when.items()}
    if isinstance(axis, Choice):
        return axis.model_copy(update={"when": when, "options": tuple(as_read(path, v) for v in axis.options)})
    return axis.model_copy(update={"when": when})


def axis_as_written(axis: FloatRange | IntRange | Choice) -> dict[str, Any]:
    """An axis as it stands in a file."""
    fields = axis.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"when"})
    if axis.when:
        fields["when"] = {parent: list(values) for parent, values in axis.when.items()}
    return fields
