"""The searched axes as pictures need them: numbers on a scale, or levels side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.document import parse_yaml, read_yaml
from trainable.errors import UserError
from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.plots.source import Source
from tuner.store import Store
from tuner.tolerant import mapping, number, text

_MOST_LEVELS = 8
"""options of numbers up to which they stand side by side, evenly"""


@dataclass(frozen=True)
class SearchedAxis:
    """One axis of a search and the trials' values on it."""

    path: str
    levels: tuple[str, ...]
    """names side by side; empty for an axis of numbers"""
    log: bool
    values: Mapping[str, float]
    """trial id -> the value, or the index of its level; without those for which the axis does not exist"""


def searched_axes(source: Source, trials: Iterable[TrialRecord]) -> list[SearchedAxis]:
    """The axes on which these trials have at least two different values, in the order of the space."""
    declared = declared_axes(source.store)
    found = (_axis(path, mapping(declared.get(path)), list(trials)) for path in _paths(source.record))
    return [axis for axis in found if len(set(axis.values.values())) > 1]


def declared_axes(store: Store) -> Mapping[str, Any]:
    """Axes by path as the space's file has them; empty where search.yaml cannot be read."""
    try:
        return mapping(parse_yaml(space_text(store), "space").data.get("axes"))
    except UserError:
        return {}


def space_text(store: Store) -> str:
    """The space's file; empty where search.yaml cannot be read."""
    try:
        return text(read_yaml(store.search_yaml).data.get("space"))
    except UserError:
        return ""


def _paths(record: SearchRecord) -> list[str]:
    return list(record.axes or dict.fromkeys(path for trial in record.trials for path in trial.params))


def _axis(path: str, declared: Mapping[str, Any], trials: list[TrialRecord]) -> SearchedAxis:
    given = {trial.id: trial.params[path] for trial in trials if path in trial.params}
    told = {trial: value for trial in given if (value := number(given[trial])) is not None}
    few = "choice" in declared and len(set(told.values())) <= _MOST_LEVELS
    if len(told) == len(given) and not few:
        log = declared.get("log") is True and all(value > 0 for value in told.values())
        return SearchedAxis(path, (), log, told)
    keys = {trial: json.dumps(value, sort_keys=True, default=str) for trial, value in given.items()}
    options = dict(sorted({keys[trial]: value for trial, value in given.items()}.items(), key=lambda o: _order(o[1])))
    at = {key: float(index) for index, key in enumerate(options)}
    return SearchedAxis(path, tuple(map(_named, options.values())), False, {trial: at[keys[trial]] for trial in given})


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers first, then shares such as `50%`, then the rest by name; `all` last."""
    found = number(value)
    if found is not None:
        return 0, found, ""
    if isinstance(value, str) and value.endswith("%") and value[:-1].replace(".", "", 1).isdigit():
        return 1, float(value[:-1]), ""
    return (3 if value == "all" else 2), 0.0, _named(value)


def _named(value: Any) -> str:
    return "null" if value is None else table.short(value)
