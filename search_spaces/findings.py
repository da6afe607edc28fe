"""pydantic's findings in a space's file, as a place and a text."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from search_spaces.axes import AXES
from trainable.config import choices
from trainable.errors import nearest

Place = tuple[str | int, ...]

_AXIS_FORMS = "{float: [low, high]}, {int: [low, high]} or {choice: [a, b]}"
_PLAIN_TYPES = {
    "dict_type": "must be a mapping of keys and values",
    "model_type": "must be a mapping of keys and values",
    "model_attributes_type": "must be a mapping of keys and values",
    "tuple_type": "must be a list",
    "string_type": "must be text",
}


class Malformed(NamedTuple):
    """Where a file is not made like a space, and what is wrong there."""

    place: Place
    text: str
    surplus: bool
    """a key that nothing reads; what stands beside it can be read"""


def malformed(error: ValidationError, space: type[BaseModel]) -> list[Malformed]:
    """pydantic's findings, without those of rules between parts."""
    return [
        Malformed(_place(finding["loc"]), _text(finding, space), finding["type"] == "extra_forbidden")
        for finding in error.errors()
    ]


def without(data: Mapping[str, Any], found: Iterable[Malformed]) -> tuple[dict[str, Any], set[str]]:
    """What is left of a space's data without its malformed parts, and the sections and axes left out for them."""
    rest = copy.deepcopy(dict(data))
    unread = set()
    for place, _, surplus in found:
        axis = place[0] == "axes" and len(place) > 1
        removed = place if surplus else place[: 2 if axis else 1]
        owner: Any = rest
        for part in removed[:-1]:
            owner = owner.get(part, {})
        owner.pop(removed[-1], None)
        if not surplus:
            unread.add(str(removed[-1]))
    return rest, unread


def _place(location: Place) -> Place:
    """pydantic names the kind that it took a part for (`axes.x.float.float.0`); the file has no such level."""
    kind_at = {"axes": 2, "scheduler": 1}.get(str(location[0]), len(location))
    return (*location[:kind_at], *location[kind_at + 1 :])


def _text(finding: Any, space: type[BaseModel]) -> str:
    location, given = finding["loc"], finding.get("input")
    said = "" if isinstance(given, dict | list | tuple) else f" (given: {given!r})"
    match finding["type"]:
        case "extra_forbidden":
            owner, name = _owner(location, space)
            fields = [info.alias or field for field, info in owner.model_fields.items()]
            return f"{name} has no {location[-1]!r}{nearest(str(location[-1]), fields)} (it has {', '.join(fields)})"
        case "missing":
            return "is required" + ("; write version: 1" if location == ("version",) else "")
        case "union_tag_not_found" if location[0] == "axes":
            return f"must be one of {_AXIS_FORMS}{_near_form(given)}{said}"
        case "union_tag_not_found":
            kinds = ", ".join(choices(space.model_fields["scheduler"].annotation))
            return f"must be {kinds}, or a mapping with such a kind{said}"
        case "union_tag_invalid":
            known = re.findall(r"'(\w+)'", finding["ctx"]["expected_tags"])
            tag = finding["ctx"]["tag"]
            return f"{tag!r} is not one of {', '.join(known)}{nearest(tag, known)}"
        case "literal_error":
            expected = finding["ctx"]["expected"]
            names = re.findall(r"'([^']+)'", expected)
            return f"must be {expected}{nearest(str(given), names)}{said}"
        case "too_short" | "too_long":
            return "must be two numbers: [low, high]"
        case kind if kind in _PLAIN_TYPES:
            return f"{_PLAIN_TYPES[kind]}{said}"
    message = finding["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{message[0].lower()}{message[1:]}{said}"


def _near_form(given: Any) -> str:
    if not isinstance(given, dict):
        return ""
    both = [kind for kind in AXES if kind in given]
    if both:
        return f"; it is {' and '.join(both)} at once"
    return next((hint for key in given if (hint := nearest(str(key), AXES))), "")


def _owner(location: Place, space: type[BaseModel]) -> tuple[type[BaseModel], str]:
    """The model that has no such field, and what people call it."""
    if len(location) == 1:
        return space, "a space"
    if location[0] == "axes":
        return AXES[str(location[2])], f"a {location[2]} axis"
    members = choices(space.model_fields[str(location[0])].annotation)
    if location[1] in members:
        return members[str(location[1])], f"{location[0]} {location[1]}"
    return next(iter(members.values())), f"a {location[0]}"
