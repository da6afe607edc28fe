"""Rules between the parts of a space; each finds all its mistakes. What configs must obey is proved in check.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

from search_spaces import conditions
from search_spaces.axes import Choice, FloatRange, Value, among, shown
from search_spaces.fields import CONFIG_FIELDS, default_value, unknown_path, value_mistakes
from trainable.errors import UserError, nearest
from trainable.metrics import parse_objective

if TYPE_CHECKING:
    from search_spaces.space import Space

FINEST_PART = 100
"""a first rung is a simple part of an epoch: at least one in so many"""

Mistake = tuple[tuple[str | int, ...], str]
"""a path in the space's file and what is wrong there"""


def space_mistakes(space: Space, unread: Collection[str]) -> Iterator[Mistake]:
    """Everything that breaks a rule. `unread`: sections and axes that could not be read; nothing is said of them."""
    return chain(
        _objective_mistakes(space),
        _split_mistakes(space),
        _value_mistakes(space),
        _axis_mistakes(space),
        _when_mistakes(space, unread),
        _presence_mistakes(space, unread),
        _sampler_mistakes(space),
        _rung_mistakes(space),
        _horizon_mistakes(space, unread),
    )


def _objective_mistakes(space: Space) -> Iterator[Mistake]:
    try:
        parse_objective(space.objective)
    except UserError as error:
        for line in error.mistakes:
            yield ("objective",), line.removeprefix("objective: ")


def _split_mistakes(space: Space) -> Iterator[Mistake]:
    if space.split is None:
        return
    from trainable.data.splits import parse_ratios  # brings numpy, which listing the spaces does without

    try:
        parse_ratios(space.split)
    except UserError as error:
        for line in error.mistakes:
            yield ("split",), line.removeprefix("split ")


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
    if "first_epoch_evaluations" in space.axes:
        yield (
            ("axes", "first_epoch_evaluations"),
            "is not searched: it says when a trial is looked at, not how it trains; give it in fixed",
        )
    if unread:
        return
    if "backbone" not in space.axes and "backbone" not in space.fixed:
        yield ("axes",), "no backbone: give it as an axis, or in fixed"
    if "backbone" not in space.baseline and "backbone" not in space.fixed:
        yield ("baseline",), "no backbone: give one, such as backbone: lite0"


def _sampler_mistakes(space: Space) -> Iterator[Mistake]:
    if space.sampler == "grid":
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
    """A first rung lies between the head's warm-up and the last epoch, where trials are evaluated."""
    if space.scheduler.kind == "none":
        return
    grace = space.scheduler.grace_epochs
    place: tuple[str, ...] = ("scheduler", "grace_epochs")
    first, lower, higher = f"{grace:g}", "lower it", "raise it"
    if space.scheduler.kind == "one_epoch":
        place, first = ("scheduler",), "the 1 epoch of one_epoch"
        lower, higher = "use scheduler: none", "use pausing_asha with a later grace_epochs"
    if grace < 1:
        yield from ((place, text) for text in _fraction_mistakes(grace, _possible(space, "first_epoch_evaluations")))
    epochs = [length for length in _horizons(space) if length <= grace]
    if epochs:
        yield (
            place,
            f"{first} must be below epochs ({min(epochs)}), or nothing is ever stopped; {lower}, or train longer",
        )
    before_last = [length for stages in _values(space, "stages") if (length := sum(_lengths(stages)[:-1])) >= grace]
    if before_last:
        yield (
            place,
            f"{first} must be above the epochs before the last stage ({max(before_last)}), or trials are judged "
            f"before it; {higher}, or shorten the stages before",
        )
    warm_up = [value for value in _possible(space, "head_warmup_epochs") if value >= grace]
    if warm_up:
        yield (
            place,
            f"{first} must be above head_warmup_epochs ({max(warm_up)}), or trials are judged before their backbone "
            f"has trained; {higher}, or warm up for less",
        )


def _fraction_mistakes(grace: float, evaluations: list[int]) -> Iterator[str]:
    """Why the first rung is at no evaluation within the first epoch, for trials evaluated so often in it."""
    part = Fraction(grace).limit_denominator(FINEST_PART)
    if abs(part - grace) > 1e-9:
        yield f"{grace:g} is no simple part of an epoch; use one such as 0.25 or 0.5"
        return
    for number in sorted(set(evaluations)):
        if (part * number).denominator > 1:
            yield (
                f"{grace:g} is not an evaluation: there are {number} in the first epoch; "
                f"add first_epoch_evaluations: {part.denominator} to fixed"
            )


def _horizon_mistakes(space: Space, unread: Collection[str]) -> Iterator[Mistake]:
    """Halving compares trials at equal shares of one horizon; that `epochs` is no axis is told elsewhere."""
    if unread or space.scheduler.kind == "none" or "epochs" in space.axes:
        return
    horizons = sorted(set(_horizons(space)))
    if len(horizons) == 1:
        return
    place = ("axes", "stages") if "stages" in space.axes else ("baseline",)
    lengths = ", ".join(map(str, horizons))
    yield place, f"trials last {lengths} epochs, which halving needs equal; make them so, or use scheduler: none"


def _horizons(space: Space) -> list[int]:
    """The epochs that trials can last, ranges by their ends: all stages together, or `epochs` where there are none."""
    sampled = space.occurring("epochs", "stages", values=lambda axis: [value for _, value in axis.ends()])
    given = {**space.fixed, **space.baseline}
    baseline = given.get("epochs", default_value("epochs")), given.get("stages")
    lengths = [sum(_lengths(stages)) or epochs for epochs, stages in (*sampled, baseline)]
    return [length for length in lengths if isinstance(length, int) and not isinstance(length, bool)]


def _possible(space: Space, path: str) -> list[int]:
    """The whole numbers that a field can have, the baseline's included."""
    return [value for value in _values(space, path) if isinstance(value, int) and not isinstance(value, bool)]


def _values(space: Space, path: str) -> list[Value]:
    """The values that a field can have, ranges by their ends, the baseline's included."""
    sampled = space.occurring(path, values=lambda axis: [value for _, value in axis.ends()])
    values = [value for (value,) in sampled]
    return [*values, space.baseline[path]] if path in space.baseline else values


def _lengths(stages: Value) -> list[int]:
    """Epochs of each stage; none for what is no list of stages, which is told elsewhere."""
    several = stages if isinstance(stages, list | tuple) else []
    lengths = [stage.get("epochs") for stage in several if isinstance(stage, Mapping)]
    return [length for length in lengths if isinstance(length, int)]
