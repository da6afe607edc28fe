"""A search space: which fields of a config are searched, over what, and from which baseline."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from search_spaces import conditions
from search_spaces.axes import Axis, IntRange, Value, axis_as_read, axis_as_written
from search_spaces.conditions import AnyAxis, Params
from search_spaces.document import Document, parse_yaml, read_yaml, write_yaml
from search_spaces.fields import as_read, default_value, flattened, nested
from search_spaces.findings import malformed, without
from search_spaces.rules import Mistake, space_mistakes
from search_spaces.schedulers import Scheduler
from search_spaces.shipped import find_space
from trainable.config import TrialConfig, parse_config
from trainable.errors import UserError
from trainable.strict import Strict

Sampler = Literal["tpe", "random", "grid"]
DEFAULT_TRIALS = 20


class Budget(Strict):
    """When a search ends; whatever comes first."""

    trials: Annotated[int, Field(ge=1)] | None = None
    """with the baseline; None: 20, or all of a grid"""
    hours: Annotated[float, Field(gt=0)] | None = None
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """of all trials together: hours that each has GPUs, times how many"""


class Limits(Strict):
    """What no config may exceed: one that does is not trained. None: no limit."""

    parameters_m: Annotated[float, Field(gt=0)] | None = None
    """millions, the head's included"""
    latency_ms: Annotated[float, Field(gt=0)] | None = None
    """from one image's pixels to its logits, on the search's device"""
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    """the most that training takes"""


class BrokenRulesError(ValueError):
    """What breaks the rules between the parts of a space: a path in its file and a text for each."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in mistakes))
        self.mistakes = mistakes


class Space(Strict):
    """What may be tried. `axes`, `fixed` and `baseline` are keyed by dotted path, such as `head.width`."""

    version: Literal[1]
    about: str = ""
    hypothesis: str | None = None
    notes: str | None = None
    task: Literal["auto", "multilabel", "multiclass"] = "auto"
    objective: str = "f1_macro"
    split: str | None = None
    """percent of train/val/test, or of train/val, where neither the data nor the command says"""
    sampler: Sampler = "tpe"
    scheduler: Scheduler
    """default: asha, or none for a grid"""
    budget: Budget = Budget()
    limits: Limits = Limits()
    fixed: Annotated[dict[str, Value], Field(default_factory=dict)]
    """fields that no trial varies"""
    baseline: dict[str, Value]
    """trial t0001, over `fixed` and the defaults"""
    axes: dict[str, Axis]
    """in file order"""

    _document: Document | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _default_scheduler(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "scheduler" not in given:
            return {**given, "scheduler": "none" if given.get("sampler") == "grid" else "asha"}
        return given

    @field_validator("fixed", "baseline", mode="before")
    @classmethod
    def _dotted(cls, given: Any) -> Any:
        if given is None:  # a key with nothing after it
            return {}
        return flattened(given) if isinstance(given, Mapping) else given

    @field_validator("fixed", "baseline")
    @classmethod
    def _values_as_read(cls, given: dict[str, Value]) -> dict[str, Value]:
        return {path: as_read(path, value) for path, value in given.items()}

    @field_validator("axes")
    @classmethod
    def _options_as_read(cls, axes: dict[str, AnyAxis]) -> dict[str, AnyAxis]:
        return {path: axis_as_read(path, axis) for path, axis in axes.items()}

    @model_validator(mode="after")
    def _obeys_rules(self, info: ValidationInfo) -> Space:
        unread = (info.context or {}).get("unread", frozenset())
        if mistakes := list(space_mistakes(self, unread)):
            raise BrokenRulesError(mistakes)
        return self

    def __eq__(self, other: object) -> bool:
        """Equal in all that is searched, axes in the same order; files and comments do not matter."""
        return isinstance(other, Space) and self.to_yaml() == other.to_yaml()

    __hash__ = None  # type: ignore[assignment]  # its mappings have no hash

    @property
    def name(self) -> str:
        """The file's stem, or `space` for one that was not read from a file."""
        return Path(self._document.name).stem if self._document else "space"

    @property
    def source(self) -> str:
        """The file's text, comments included, with what it says before anything was overridden."""
        return self.document.text

    @property
    def document(self) -> Document:
        """What the space was read from; one that was made in Python is written out."""
        return self._document or parse_yaml(self.to_yaml(), "space")

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Paths of the axes in the order to choose them in: file order, but parents first."""
        return conditions.parents_first(self.axes)

    def position(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Line and column of a place in the space's file; 1, 1 for a space that has none."""
        return self._document.position(path) if self._document else (1, 1)

    def mistake(self, path: Sequence[str | int], text: str) -> str:
        """A mistake at a place of the space's file, as a line with file, line and column."""
        if self._document:
            return _line(self._document, path, text)
        return f"{'.'.join(map(str, path))}: {text}"

    def active(self, path: str, params: Params) -> bool:
        """Whether an axis exists beside these values of other axes."""
        known = self.active_params({other: value for other, value in params.items() if other != path})
        return conditions.applies(self.axes[path], {**self.fixed, **known})

    def active_params(self, params: Params) -> dict[str, Value]:
        """The values of those axes that exist beside the others, parents first.

        Raises:
            ValueError: a path that is no axis.
        """
        if strange := params.keys() - self.axes.keys():
            raise ValueError(f"no axes of this space: {', '.join(sorted(strange))}")
        return conditions.active_params(self.axes, self.fixed, params)

    def config(self, params: Params) -> TrialConfig:
        """The trial of these values: defaults, then `fixed`, then the axes that exist.

        Raises:
            UserError: the fields do not fit together.
        """
        return parse_config(nested({**self.fixed, **self.active_params(params)}))

    def baseline_config(self) -> TrialConfig:
        """The first trial: defaults, then `fixed`, then `baseline`.

        Raises:
            UserError: the fields do not fit together.
        """
        return parse_config(nested({**self.fixed, **self.baseline}))

    def baseline_params(self) -> dict[str, Value]:
        """The baseline as values of axes, without those axes that cannot take its value."""
        return self.params_of(self.baseline_config().model_dump(mode="json"))

    def params_of(self, fields: Mapping[str, Any]) -> dict[str, Value]:
        """A config's nested fields as values of axes, without those axes that cannot take its value."""
        given = flattened(fields)
        params: dict[str, Value] = {}
        for path in self.order:
            axis = self.axes[path]
            if path in given and axis.holds(given[path]) and self.active(path, params):
                params[path] = int(given[path]) if isinstance(axis, IntRange) else given[path]
        return params

    def draw(self, rng: random.Random) -> dict[str, Value]:
        """Random values of the axes that exist beside each other."""
        params: dict[str, Value] = {}
        for path in self.order:
            if conditions.applies(self.axes[path], {**self.fixed, **params}):
                params[path] = self.axes[path].draw(rng)
        return params

    def grid(self) -> Iterator[dict[str, Value]]:
        """Every combination of values once, in file order with the last axis fastest.

        Raises:
            UserError: a float range, which cannot be listed.
        """
        endless = [path for path, axis in self.axes.items() if axis.values() is None]
        if endless:
            raise UserError(*(self.mistake(("axes", path), "a grid needs {choice: [...]}") for path in endless))
        return conditions.combinations(self.axes, self.fixed, lambda path: self.axes[path].values() or (), self.axes)

    def size(self) -> int | None:
        """How many combinations `grid` has; None where a float range makes them endless."""
        return conditions.count(self.axes, self.fixed)

    def trials(self) -> int:
        """How many trials a search has, with the baseline: the budget's, or all of a grid, or 20."""
        if self.budget.trials is not None:
            return self.budget.trials
        size = self.size() if self.sampler == "grid" else None
        if size is None:
            return DEFAULT_TRIALS
        return size if self._baseline_in_grid() else size + 1

    def _baseline_in_grid(self) -> bool:
        params = self.baseline_params()
        whole = all(path in params or not self.active(path, params) for path in self.axes)
        return whole and self.config(params) == self.baseline_config()

    def sizes(self) -> tuple[int, ...]:
        """Every image_size that can occur, ascending, in pixels."""
        return tuple(sorted({size for (size,) in self._every("image_size")}))

    def backbones(self) -> tuple[str, ...]:
        """Every backbone that can occur, the baseline's first."""
        return tuple(dict.fromkeys(backbone for (backbone,) in self._every("backbone")))

    def pretrained_backbones(self) -> tuple[str, ...]:
        """Those backbones whose pretrained weights a trial can ask for."""
        return tuple(dict.fromkeys(backbone for backbone, wanted in self._every("backbone", "pretrained") if wanted))

    def occurring(self, *paths: str, values: Callable[[AnyAxis], Sequence[Value]]) -> list[tuple[Value, ...]]:
        """The values that fields can have together in a sampled trial, an axis taking those that `values` gives."""

        def taken(path: str) -> Sequence[Value]:
            return values(self.axes[path]) if path in paths else conditions.telling_values(self.axes, path)

        above = conditions.ancestors(self.axes, paths)
        return [
            tuple(params.get(path, self.fixed.get(path, default_value(path))) for path in paths)
            for params in conditions.combinations(self.axes, self.fixed, taken, above)
        ]

    def _every(self, *paths: str) -> list[tuple[Value, ...]]:
        """The values that listable fields can have together, the baseline's first."""
        baseline = tuple({**self.fixed, **self.baseline}.get(path, default_value(path)) for path in paths)
        return [baseline, *self.occurring(*paths, values=lambda axis: axis.values() or ())]

    def to_data(self) -> dict[str, Any]:
        """The space as plain data with every default written out."""
        fields = self.model_dump(mode="json", exclude={"axes", "budget", "limits"})
        for optional in ("hypothesis", "notes", "split"):
            if fields[optional] is None:
                del fields[optional]
        for optional, given in (("budget", self.budget), ("limits", self.limits)):
            if told := given.model_dump(exclude_none=True):
                fields[optional] = told
        fields["axes"] = {path: axis_as_written(axis) for path, axis in self.axes.items()}
        return fields

    def to_yaml(self) -> str:
        """The space as YAML with every default written out; it reads back equal."""
        return write_yaml(self.to_data())


def load_space(path_or_name: Path | str) -> Space:
    """The space in a file, or the shipped one of a name such as `quick`.

    Raises:
        UserError: there is no such space, or every mistake in it, one line each.
    """
    return read_space(read_yaml(find_space(path_or_name)))


def read_space(document: Document) -> Space:
    """The space in a document.

    Raises:
        UserError: every mistake in it, one line each with line and column, in the order of the file.
    """
    try:
        space = Space.model_validate(document.data)
    except ValidationError as error:
        places = sorted(_mistakes(error, document.data), key=lambda found: document.position(found[0]))
        raise UserError(*dict.fromkeys(_line(document, place, text) for place, text in places)) from None
    space._document = document
    return space


def _line(document: Document, place: Sequence[str | int], text: str) -> str:
    """A mistake's line; an option is named by its value in the text, not by its number in the path."""
    numbered = place[:1] == ("axes",) and isinstance(place[-1], int)
    return document.mistake(place[:2] if numbered else place, text, at=place)


def _mistakes(error: ValidationError, data: Mapping[str, Any]) -> list[Mistake]:
    """Mistakes of form, and those against the rules among what is left without the malformed parts."""
    broken = _broken_rules(error)
    if broken is not None:
        return list(broken)
    found = malformed(error, Space)
    rest, unread = without(data, found)
    try:
        Space.model_validate({"version": 1, "baseline": {}, "axes": {}, **rest}, context={"unread": unread})
    except ValidationError as second:
        broken = _broken_rules(second)
    return [*((place, text) for place, text, _ in found), *(broken or ())]


def _broken_rules(error: ValidationError) -> Sequence[Mistake] | None:
    """What Space itself found, if form was no hindrance."""
    cause = error.errors()[0].get("ctx", {}).get("error")
    return cause.mistakes if isinstance(cause, BrokenRulesError) else None
