"""Values of a space replaced from outside: the same question asked with other means, such as a smaller network.

`resnet50=lite2` puts one value in another's place wherever it stands, so that a space keeps its axes and its runs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.axes import Choice, Value, among, same, shown
from search_spaces.document import parse_yaml
from search_spaces.fields import CONFIG_FIELDS, as_read, unknown_path, value_mistakes
from search_spaces.space import Space, read_space
from trainable.errors import UserError, nearest
from trainable.metrics import parse_objective
from trainable.strict import Strict


class Overrides(Strict):
    """What is replaced, as options of a command: `OLD=NEW`, or `NEW` for a field that is not searched."""

    backbone: tuple[str, ...] = ()
    image_size: tuple[str, ...] = ()
    epochs: tuple[str, ...] = ()
    """stages that last OLD epochs together are scaled to NEW"""
    set: tuple[str, ...] = ()
    """`FIELD=VALUE` for any field that is not searched"""
    objective: str | None = None
    """the metric that trials are ranked by"""


NO_OVERRIDES = Overrides()


@dataclass(frozen=True)
class _Setting:
    """A field that no trial varies gets a value."""

    option: str
    """as it was written; opens its mistakes"""
    path: str
    new: Value


@dataclass(frozen=True)
class _Swap:
    """A value takes another's place, wherever it stands."""

    option: str
    path: str
    old: Value
    new: Value


def override(space: Space, overrides: Overrides) -> tuple[Space, tuple[str, ...]]:
    """The space with values replaced, and a line for each replacement, such as `backbone: resnet50 -> lite2`.

    Axes stay the same, with as many options each; `source` remains what the file says.

    Raises:
        UserError: every option that cannot be followed, a line each; or what is wrong with the space that comes of it.
    """
    settings, swaps, mistakes = _read(overrides)
    mistakes += _rivals([*settings, *swaps])
    mistakes += [text for setting in settings for text in _setting_mistakes(space, setting)]
    mistakes += [text for swap in swaps for text in _swap_mistakes(space, swap)]
    mistakes = mistakes or list(_collisions(space, swaps))
    mistakes += _objective_mistakes(overrides)
    if mistakes:
        raise UserError(*mistakes)
    objective = overrides.objective or space.objective
    if not settings and not swaps and objective == space.objective:
        return space, ()
    data = _overridden(space, settings, swaps) | {"objective": objective}
    lines = [f"objective: {space.objective} -> {objective}"] if objective != space.objective else []
    changed = dataclasses.replace(space.document, data=data)
    return read_space(changed), (*lines, *_swap_lines(space, swaps), *_setting_lines(space, settings))


def _read(overrides: Overrides) -> tuple[list[_Setting], list[_Swap], list[str]]:
    """The options, and what is wrong with how they are written."""
    settings: list[_Setting] = []
    swaps: list[_Swap] = []
    mistakes: list[str] = []
    for name, texts in overrides.model_dump(exclude={"objective"}).items():
        for text in texts:
            option = f"--{name.replace('_', '-')} {text}"
            first, equals, second = text.partition("=")
            try:
                if name == "set" and not equals:
                    raise UserError(f"{option}: write FIELD=VALUE, such as batch_size=16")
                if name == "set":
                    settings.append(_Setting(option, first, _new_value(option, first, second)))
                elif equals:
                    swaps.append(_Swap(option, name, _value(option, name, first), _new_value(option, name, second)))
                else:
                    settings.append(_Setting(option, name, _new_value(option, name, first)))
            except UserError as error:
                mistakes += error.mistakes
    return settings, swaps, mistakes


def _objective_mistakes(overrides: Overrides) -> list[str]:
    if overrides.objective is None:
        return []
    try:
        parse_objective(overrides.objective)
    except UserError as error:
        return [f"--{mistake}" for mistake in error.mistakes]
    return []


def _new_value(option: str, path: str, text: str) -> Value:
    if path not in CONFIG_FIELDS:
        raise UserError(f"{option}: {unknown_path(path)}")
    value = _value(option, path, text)
    if mistakes := value_mistakes(path, value):
        raise UserError(*(f"{option}: {mistake}" for mistake in mistakes))
    return value


def _value(option: str, path: str, text: str) -> Value:
    """A value as YAML writes it, as the config holds it."""
    form = "FIELD=VALUE, such as batch_size=16" if option.startswith("--set ") else "OLD=NEW, or NEW alone"
    try:
        value = parse_yaml(f"value: {text}", option).data["value"]
    except UserError:
        raise UserError(f"{option}: {text!r} cannot be read as YAML; write {form}") from None
    if not text.strip():
        raise UserError(f"{option}: has an empty value; write {form}")
    return as_read(path, value)


def _rivals(wanted: Sequence[_Setting | _Swap]) -> Iterator[str]:
    """Options that say two things of one value."""
    for index, one in enumerate(wanted):
        for other in wanted[:index]:
            both_swap = isinstance(one, _Swap) and isinstance(other, _Swap) and not same(one.old, other.old)
            if one.path == other.path and not both_swap:
                yield f"{one.option}: {other.option} is given as well; keep one of the two"


def _setting_mistakes(space: Space, setting: _Setting) -> Iterator[str]:
    path = setting.path
    if path in space.axes:
        remedy = f"--{path.replace('_', '-')} OLD=NEW" if path in Overrides.model_fields else "a copy of the space"
        yield f"{setting.option}: {path} is an axis of {space.name}; to search it over other values, use {remedy}"
    totals = sorted({sum(_lengths(stages)) for stages in _standing(space, "stages") if stages})
    if path == "epochs" and totals:
        lasting = ", ".join(map(str, totals))
        yield f"{setting.option}: the stages of {space.name} last {lasting} epochs; use --epochs OLD=NEW"


def _swap_mistakes(space: Space, swap: _Swap) -> Iterator[str]:
    stages = [_lengths(value) for value in _standing(space, "stages") if value] if swap.path == "epochs" else []
    standing = [*_standing(space, swap.path), *map(sum, stages)]
    if not among(swap.old, standing):
        found = list(dict.fromkeys(map(shown, standing)))
        remedy = f"it has {', '.join(found)}" if found else f"it leaves it open: give {shown(swap.new)} alone"
        hint = nearest(shown(swap.old), found)
        yield f"{swap.option}: {space.name} has no {swap.path} {shown(swap.old)}{hint} ({remedy})"
    fewest = max((len(lengths) for lengths in stages if sum(lengths) == swap.old), default=0)
    if isinstance(swap.new, int) and swap.new < fewest:
        yield f"{swap.option}: {fewest} stages need an epoch each; give {fewest} or more"


def _collisions(space: Space, swaps: Sequence[_Swap]) -> Iterator[str]:
    """Options of an axis that would become the same, which would cost it a run."""
    for path, axis in space.axes.items():
        if not isinstance(axis, Choice):
            continue
        after = [_swapped(path, option, swaps) for option in axis.options]
        for index, new in enumerate(after):
            if among(new, after[:index]):
                blamed = next(swap for swap in reversed(swaps) if among(new, _results(path, axis, swap)))
                yield f"{blamed.option}: makes two options of {path} the same ({_shown(path, new)}); choose another"


def _results(path: str, axis: Choice, swap: _Swap) -> list[Value]:
    """The options of an axis that a swap brings about."""
    changed = [(option, _swapped(path, option, [swap])) for option in axis.options]
    return [new for old, new in changed if not same(old, new)]


def _standing(space: Space, path: str) -> list[Value]:
    """The values of a field that stand anywhere in a space."""
    axis = space.axes.get(path)
    fixed = [given[path] for given in (space.fixed, space.baseline) if path in given]
    options = axis.options if isinstance(axis, Choice) else ()
    return [*fixed, *options, *(value for other in space.axes.values() for value in other.when.get(path, ()))]


def _overridden(space: Space, settings: Sequence[_Setting], swaps: Sequence[_Swap]) -> dict[str, Any]:
    """The space's data after all swaps at once, so that two values may change places."""
    data = space.to_data()
    for section in ("fixed", "baseline"):
        data[section] = {path: _swapped(path, value, swaps) for path, value in data[section].items()}
    for path, axis in data["axes"].items():
        if "choice" in axis:
            axis["choice"] = [_swapped(path, option, swaps) for option in axis["choice"]]
        for parent, values in axis.get("when", {}).items():
            axis["when"][parent] = [_swapped(parent, value, swaps) for value in values]
    for setting in settings:
        data["fixed"][setting.path] = setting.new
        data["baseline"].pop(setting.path, None)
    return data


def _swapped(path: str, value: Value, swaps: Sequence[_Swap]) -> Value:
    """What stands in a value's place."""
    for swap in swaps:
        if swap.path == path and same(swap.old, value):
            return swap.new
        if (swap.path, path) == ("epochs", "stages") and value and sum(_lengths(value)) == swap.old:
            return _lasting(value, swap.new)
    return value


def _lengths(stages: Sequence[Mapping[str, Any]]) -> list[int]:
    return [stage["epochs"] for stage in stages]


def _lasting(stages: Sequence[Mapping[str, Any]], epochs: int) -> list[dict[str, Any]]:
    """The same stages for so many epochs together."""
    lengths = scaled(_lengths(stages), epochs)
    return [{**stage, "epochs": length} for stage, length in zip(stages, lengths, strict=True)]


def scaled(lengths: Sequence[int], total: int) -> list[int]:
    """Whole lengths in the same proportions with another sum, each at least 1, by the largest remainder.

    `total` must not be below the number of lengths.
    """
    quotas = [length * total / sum(lengths) for length in lengths]
    parts = [max(1, math.floor(quota)) for quota in quotas]
    while missing := total - sum(parts):
        step = 1 if missing > 0 else -1
        movable = [index for index, part in enumerate(parts) if part + step >= 1]
        farthest = max(movable, key=lambda index: step * (quotas[index] - parts[index]))
        parts[farthest] += step
    return parts


def _swap_lines(space: Space, swaps: Sequence[_Swap]) -> list[str]:
    lines = [f"{swap.path}: {shown(swap.old)} -> {shown(swap.new)}" for swap in swaps]
    for stages in _standing(space, "stages"):
        new = _swapped("stages", stages, swaps)
        if not same(stages, new):
            lines.append(f"stages: {_shown('stages', stages)} -> {_shown('stages', new)}")
    return list(dict.fromkeys(lines))


def _setting_lines(space: Space, settings: Sequence[_Setting]) -> list[str]:
    given = {**space.fixed, **space.baseline}
    return [
        f"{setting.path}: {f'{shown(given[setting.path])} -> ' if setting.path in given else ''}{shown(setting.new)}"
        for setting in settings
    ]


def _shown(path: str, value: Value) -> str:
    """A value in a line of text; stages by their lengths."""
    return " + ".join(map(str, _lengths(value))) + " epochs" if path == "stages" else shown(value)
