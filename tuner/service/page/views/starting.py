"""The form of a new search: what was typed in it as a submission, and each mistake at its field."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from search_spaces.axes import axis_as_written
from search_spaces.shipped import shipped_spaces
from search_spaces.space import Space, load_space
from tuner.report.comparison_formats import axis_text
from tuner.service.submissions.findings import message_of

OWN_SPACE = "own"
"""the choice of a space that is typed in; no shipped one is called so"""
_FOLDED = ("objective", "backbone", "image_size", "epochs", "priority", "seed", "hypothesis", "notes")
FIELDS = ("space", "space_yaml", "data", "name", "trials", "hours", "gpu_hours", *_FOLDED)
_NUMBERS: Mapping[str, type[int] | type[float]] = {
    **dict.fromkeys(("trials", "priority", "seed"), int),
    **dict.fromkeys(("hours", "gpu_hours"), float),
}
_BUDGET = ("trials", "hours", "gpu_hours")
_OVERRIDES = ("backbone", "image_size", "epochs")
_FIRST_WORD = re.compile(r"(?:--)?([A-Za-z_.-]+)")
_WORDS: Mapping[str, str] = {"image-size": "image_size", "gpu-hours": "gpu_hours", "set": "objective"}
"""what commands call what fields call otherwise"""


@dataclass(frozen=True)
class Form:
    """As it was typed, and what is wrong with it."""

    values: Mapping[str, str] = field(default_factory=dict)
    mistakes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """by field; those of none are under the empty name"""

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def wrong(self, name: str) -> tuple[str, ...]:
        return self.mistakes.get(name, ())

    @property
    def is_marked(self) -> bool:
        """Whether a field of it is wrong."""
        return any(self.mistakes.get(name) for name in FIELDS)

    @property
    def is_opened(self) -> bool:
        """Whether something was typed, or is wrong, in the part that is folded at first."""
        return any(self.value(name) or self.wrong(name) for name in _FOLDED)


def form_of(typed: Mapping[str, str]) -> Form:
    """The form's own fields of what was sent."""
    return Form({name: typed[name].strip() for name in FIELDS if typed.get(name, "").strip()})


def submission_of(form: Form) -> dict[str, Any]:
    """What the form submits, as JSON would; what was left empty is not given."""
    given: dict[str, Any] = {name: _typed(name, value) for name, value in form.values.items()}
    if given.get("space") == OWN_SPACE:
        given.pop("space")
    else:
        given.pop("space_yaml", None)
    budget = {name: given.pop(name) for name in _BUDGET if name in given}
    overrides = {name: _several(given.pop(name)) for name in _OVERRIDES if name in given}
    return given | ({"budget": budget} if budget else {}) | ({"overrides": overrides} if overrides else {})


def _typed(name: str, value: str) -> Any:
    """A number where the field is one; what is none stays a text, which is refused as such."""
    try:
        return _NUMBERS.get(name, str)(value)
    except ValueError:
        return value


def _several(text: str) -> list[str]:
    return [one for part in text.split(",") if (one := part.strip())]


def mistakes_of(error: ValidationError) -> dict[str, tuple[str, ...]]:
    """What a submission's model refuses, by the form's fields."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for finding in error.errors(include_url=False):
        place = [str(part) for part in finding["loc"]]
        name = place[1] if len(place) > 1 and place[0] in ("budget", "overrides") else place[0] if place else ""
        said = message_of(finding)
        name = name if name in FIELDS else "space" if "space" in said and not place else ""
        found[name].append(said)
    return {name: tuple(said) for name, said in found.items()}


def mistakes_by_word(form: Form, mistakes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What checks say in a line each, by the field that a line begins with; the rest under the empty name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in mistakes:
        found[_field_of(form, line)].append(line)
    return {name: tuple(lines) for name, lines in found.items()}


def _field_of(form: Form, line: str) -> str:
    first = _FIRST_WORD.match(line)
    name = first[1].partition(".")[0] if first else ""
    name = _WORDS.get(name, name)
    if name in ("space", "search") or re.match(r"[\w./-]+\.yaml:\d+", line):
        return "space_yaml" if form.value("space") == OWN_SPACE else "space"
    return name if name in FIELDS else ""


@dataclass(frozen=True)
class SpaceTold:
    """What a shipped space tries."""

    name: str
    about: str
    objective: str
    sampler: str
    scheduler: str
    trials: int
    axes: tuple[tuple[str, str], ...]
    """path and values"""


def space_names() -> list[str]:
    return [space.name for space in shipped_spaces()]


def told_space(name: str) -> SpaceTold:
    """Raises UserError where there is none of this name."""
    space: Space = load_space(name)
    return SpaceTold(
        name=name,
        about=space.about,
        objective=space.objective,
        sampler=space.sampler,
        scheduler=space.scheduler.kind,
        trials=space.trials(),
        axes=tuple((path, axis_text(axis_as_written(axis))) for path, axis in space.axes.items()),
    )
