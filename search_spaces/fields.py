"""What a space may name: every field of a trial's config by its dotted path, such as `head.width`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from trainable.config import TrialConfig, choices, config_mistakes
from trainable.errors import nearest


@dataclass(frozen=True)
class ConfigField:
    """A field of TrialConfig or of one of its parts (head, optimizer, schedule, loss)."""

    path: str
    kinds: tuple[str, ...]
    """the kinds of its part that have it; empty for a field that no kind decides on"""
    numbers: frozenset[type]
    """which of int and float it holds"""

    @property
    def kind_path(self) -> str:
        """`head.kind` for `head.width`."""
        return f"{self.path.partition('.')[0]}.kind"


def _numbers(annotation: Any) -> frozenset[type]:
    if annotation in (int, float):
        return frozenset([annotation])
    return frozenset().union(*map(_numbers, get_args(annotation)))


def _part_fields(part: str, members: Mapping[str, type[BaseModel]]) -> dict[str, ConfigField]:
    fields: dict[str, ConfigField] = {}
    for member in members.values():
        for name, info in member.model_fields.items():
            having = tuple(kind for kind, other in members.items() if name in other.model_fields)
            kinds = () if having == tuple(members) else having
            fields[f"{part}.{name}"] = ConfigField(f"{part}.{name}", kinds, _numbers(info.annotation))
    return fields


def _config_fields() -> dict[str, ConfigField]:
    fields: dict[str, ConfigField] = {}
    for name, info in TrialConfig.model_fields.items():
        members = {} if get_origin(info.annotation) is tuple else choices(info.annotation)
        if members:
            fields |= _part_fields(name, members)
        else:
            fields[name] = ConfigField(name, (), _numbers(info.annotation))
    return fields


CONFIG_FIELDS = _config_fields()


def refresh_fields() -> None:
    """Take in what plugins have added to the parts of a config."""
    CONFIG_FIELDS.clear()
    CONFIG_FIELDS.update(_config_fields())


def unknown_path(path: str) -> str:
    """What is wrong with a path that no config has: the rule and the nearest path."""
    inside = [name for name in CONFIG_FIELDS if name.startswith(f"{path}.")]
    if inside:
        return f"{path!r} is made of fields; name one of {', '.join(inside)}"
    by_name = [name for name in CONFIG_FIELDS if name.rpartition(".")[2] == path]
    hint = f"; did you mean {' or '.join(map(repr, by_name))}?" if by_name else nearest(path, CONFIG_FIELDS)
    return f"a trial's config has no such field{hint or '; the fields are ' + ', '.join(CONFIG_FIELDS)}"


def flattened(given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested or dotted fields as dotted ones.

    Raises:
        ValueError: a field is given both ways.
    """
    flat: dict[str, Any] = {}
    for key, value in given.items():
        path = f"{prefix}{key}"
        inner = flattened(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
        if twice := flat.keys() & inner.keys():
            raise ValueError(f"{', '.join(sorted(twice))} is given twice, nested and dotted; keep one")
        flat |= inner
    return flat


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted fields as TrialConfig takes them; a part that is named without its kind has the default one."""
    fields: dict[str, Any] = {}
    for path, value in flat.items():
        part, _, name = path.partition(".")
        if name:
            fields.setdefault(part, _default_kind(part))[name] = value
        else:
            fields[part] = value
    return fields


def default_value(path: str) -> Any:
    """What a config has where neither `fixed` nor an axis says; None where there is no default."""
    part, _, name = path.partition(".")
    info = TrialConfig.model_fields[part]
    if info.is_required():
        return None
    return getattr(info.get_default(), name, None) if name else info.get_default()


def value_mistakes(path: str, value: Any) -> list[str]:
    """Why a field cannot have a value, whatever the rest of the config; empty when it can."""
    if isinstance(value, bool) and CONFIG_FIELDS[path].numbers:
        return [f"must be a number (given: {str(value).lower()})"]
    try:
        _alone(path, value)
    except ValidationError as error:
        lines = zip(error.errors(), config_mistakes(error), strict=True)
        # a finding without a location is about how fields fit together, which one field cannot tell
        return [line.removeprefix(f"{path}: ") for finding, line in lines if finding["loc"]]
    return []


def as_read(path: str, value: Any) -> Any:
    """A field's value as the config holds it (`1` for a learning rate is 1.0), or as given where it does not fit."""
    if path not in CONFIG_FIELDS or value_mistakes(path, value):
        return value
    try:
        part, _, name = path.partition(".")
        read = _alone(path, value).model_dump(mode="json")[part]
    except ValidationError:  # it depends on other fields
        return value
    return read[name] if name else read


def _alone(path: str, value: Any) -> TrialConfig:
    """A config in which one field is given; a timm backbone has no known number of blocks to be exceeded."""
    field = CONFIG_FIELDS[path]
    needed: dict[str, Any] = {"backbone": "timm:any"}
    if field.kinds:
        needed[field.kind_path] = field.kinds[0]
    return TrialConfig.model_validate(nested(needed | {path: value}))


def _default_kind(part: str) -> dict[str, Any]:
    default = TrialConfig.model_fields[part].get_default()
    return {"kind": default.kind} if hasattr(default, "kind") else {}
