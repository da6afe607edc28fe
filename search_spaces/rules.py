"""Rules between the parts of a space; each finds all its mistakes. What configs must obey is proved in check.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from search_spaces import conditions
from search_spaces.axes import Choice, FloatRange, Value, among, shown
from search_spaces.fields import CONFIG_FIELDS, unknown_path, value_mistakes
from trainable.errors import UserError, nearest
from trainable.metrics import parse_objective

if TYPE_CHECKING:
    from search_spaces.space import Space

Mistake = tuple[tuple[str | int, ...], str]
"""a path in the space's file and what is wrong there"""


def space_mistakes(space: Space, unread: Collection[str]) -> Iterator[Mistake]:
    """Everything that breaks a rule. `unread`: sections and axes that could not be read; nothing is said of them."""
    return chain(
        _objective_mistakes(space),
        _value_mistakes(space),
        _axis_mistakes(space),
        _when_mistakes(space, unread),
        _presence_mistakes(space, unread),
        _sampler_mistakes(space, unread),
        _rung_mistakes(space),
    )


def _objective_mistakes(space: Space) -> Iterator[Mistake]:
    try:
        parse_objective(space.objective)
    except UserError as error:
        for line in error.mistakes:
            yield ("objective",), line.removeprefix("objective: ")


def _value_mistakes(space: Space) -> Iterator[Mistake]:
    """Fixed and baseline values that their fields cannot have."""
    for section, values in (("fixed", space.fixed), ("baseline", space.baseline)):
        for path, value in values.items():
            if path not in CONFIG_FIELDS:
                yield (section, path), unknown_path(path)
                continue
            for text in value_mistakes(path, value):
                yield (section, path), text
    for path in space.axes:
        if path in space.fixed:
            yield ("axes", path), "is in fixed as well; keep it in one place"


def _axis_mistakes(space: Space) -> Iterator[Mistake]:
    """Axes that their fields cannot follow."""
    for path, axis in space.axes.items():
        if path not in CONFIG_FIELDS:
            yield ("axes", path), unknown_path(path)
            continue
        own = axis.mistakes(path)
        for text in own:
            yield ("axes", path), text
        if own and not isinstance(axis, Choice):
            continue
        key = "choice" if isinstance(axis, Choice) else "float" if isinstance(axis, FloatRange) else "int"
        for index, (label, value) in enumerate(axis.ends()):
            for text in value_mistakes(path, value):
                yield ("axes", path, key, index), f"{label} {shown(value)}: {text}"


def _when_mistakes(space: Space, unread: Collection[str]) -> Iterator[Mistake]:
    loops = conditions.cyclic(space.axes)
    for path, axis in space.axes.items():
        sound = True
        for parent, values in axis.when.items():
            if parent in unread or (parent not in space.axes and "fixed" in unread):
                sound = False
                continue
            for text in _parent_mistakes(space, parent, values):
                sound = False
                yield ("axes", path, "when", parent), text
        if path in loops:
            yield ("axes", path, "when"), "leads back to this axis; let one of the axes in the circle always exist"
        elif sound and not unread and next(conditions.ways_to_exist(space.axes, space.fixed, path), None) is None:
            wanted = " and ".join(f"{p} {', '.join(map(shown, values))}" for p, values in axis.when.items())
            yield ("axes", path, "when"), f"is never met: no trial has {wanted}; widen it or drop the axis"


def _parent_mistakes(space: Space, parent: str, values: tuple[object, ...]) -> Iterator[str]:
    if parent not in CONFIG_FIELDS:
        yield unknown_path(parent)
        return
    if parent in space.axes:
        axis = space.axes[parent]
        if isinstance(axis, FloatRange):
            yield f"{parent} is a float range, which hardly ever takes a given value; refer to a choice or an int range"
            return
        for value in values:
            if not axis.holds(value):
                hint = nearest(shown(value), axis.text().split(", "))
                yield f"{parent} is never {shown(value)}{hint} (it takes {axis.text()})"
    elif parent in space.fixed:
        for value in values:
            if not among(value, [space.fixed[parent]]):
                yield f"{parent} is never {shown(value)}: it is fixed to {shown(space.fixed[parent])}"
    else:
        hint = nearest(parent, [*space.axes, *space.fixed])
        yield f"{parent} is neither an axis nor fixed, so it never changes{hint or '; make it an axis'}"
    if not values:
        yield "has no values; give at least one"


def _presence_mistakes(space: Space, unread: Collection[str]) -> Iterator[Mistake]:
    """What a space must and must not search."""
    if not space.axes and not unread:
        yield ("axes",), "is empty; give at least one axis, such as optimizer.lr: {float: [1e-4, 1e-2], log: true}"
    if "seed" in space.axes:
        yield ("axes", "seed"), "is not searched: a lucky seed is no better config; give it in fixed"
    if unread:
        return
    if "backbone" not in space.axes and "backbone" not in space.fixed:
        yield ("axes",), "no backbone: give it as an axis, or in fixed"
    if "backbone" not in space.baseline and "backbone" not in space.fixed:
        yield ("baseline",), "no backbone: give one, such as backbone: lite0"


def _sampler_mistakes(space: Space, unread: Collection[str]) -> Iterator[Mistake]:
    if space.sampler == "grid":
        if space.scheduler.kind != "none" and "scheduler" not in unread:
            yield ("scheduler",), "a grid is for comparing all its rows at equal epochs; use scheduler: none"
        for path, axis in space.axes.items():
            if isinstance(axis, FloatRange):
                yield ("axes", path), "is a float range, which a grid cannot list; use {choice: [...]}"
    if space.scheduler.kind == "none":
        return
    if "epochs" in space.axes:
        yield (
            ("axes", "epochs"),
            "is the horizon of the schedule, which halving needs equal; give it in fixed, or use scheduler: none",
        )
    for index, path in enumerate(space.scheduler.within):
        place = ("scheduler", "within", index)
        if path not in CONFIG_FIELDS:
            yield place, f"{path!r}: {unknown_path(path)}"
        elif isinstance(space.axes.get(path), FloatRange):
            yield place, f"{path!r} is a float range, so no two trials would be compared; name a choice"


def _rung_mistakes(space: Space) -> Iterator[Mistake]:
    """A first rung lies between the head's warm-up and the last epoch."""
    if space.scheduler.kind == "none":
        return
    grace, place = space.scheduler.grace_epochs, ("scheduler", "grace_epochs")
    epochs = [value for value in _possible(space, "epochs") if value <= grace]
    if epochs:
        yield (
            place,
            f"{grace} must be below epochs ({min(epochs)}), or nothing is ever stopped; lower it, or train longer",
        )
    before_last = [length for stages in _values(space, "stages") if (length := _epochs_before_last(stages)) >= grace]
    if before_last:
        yield (
            place,
            f"{grace} must be above the epochs before the last stage ({max(before_last)}), or trials are judged before "
            f"it; raise it, or shorten the stages before",
        )
    warm_up = [value for value in _possible(space, "head_warmup_epochs") if value >= grace]
    if warm_up:
        yield (
            place,
            f"{grace} must be above head_warmup_epochs ({max(warm_up)}), or trials are judged before their backbone "
            f"has trained; raise it, or warm up for less",
        )


def _possible(space: Space, path: str) -> list[int]:
    """The whole numbers that a field can have, the baseline's included."""
    return [value for value in _values(space, path) if isinstance(value, int) and not isinstance(value, bool)]


def _values(space: Space, path: str) -> list[Value]:
    """The values that a field can have, ranges by their ends, the baseline's included."""
    sampled = space.occurring(path, values=lambda axis: [value for _, value in axis.ends()])
    values = [value for (value,) in sampled]
    return [*values, space.baseline[path]] if path in space.baseline else values


def _epochs_before_last(stages: Value) -> int:
    """Epochs of all stages but the last; 0 for what is no list of stages, which is told elsewhere."""
    earlier = stages[:-1] if isinstance(stages, list | tuple) else []
    lengths = [stage.get("epochs") for stage in earlier if isinstance(stage, Mapping)]
    return sum(length for length in lengths if isinstance(length, int))
