"""Proves a space before anything runs: whatever can be sampled from it must be a valid config."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from search_spaces import conditions
from search_spaces.axes import Choice, Value, same, shown
from search_spaces.conditions import Params
from search_spaces.fields import CONFIG_FIELDS
from search_spaces.space import Space
from trainable.errors import UserError
from trainable.task import Task

PAIRS = 4000
"""most pairs of values that are tried; of more, a fixed random choice"""
RANDOM_TRIALS = 300
_LIKEWISE = 6
"""most further combinations that one line names"""
_TRIES = 3
"""trials in which the cause of a mistake is looked for"""
_ALIKE = 4
"""times as many for mistakes that differ by numbers only"""


def prove(space: Space, task: Task | None = None) -> list[str]:
    """What is wrong with configs that the space can give, one line a cause; empty when all are valid.

    Tried are the baseline, every option, low and high beside a combination of the others in which it exists, pairs
    of them, and random trials. With a task (or the space's own), configs must fit it as well.
    """
    if task is None and space.task != "auto":
        task = space.task
    proof = _Proof(space, task)
    proof.try_baseline()
    for params in _trials(space, proof.usual):
        proof.try_params(params)
    return proof.lines()


def _usual(space: Space) -> dict[str, Value]:
    """What each axis takes where nothing else is asked of it: the baseline's value, or the first."""
    try:
        baseline = space.baseline_params()
    except UserError:
        baseline = {}
    return {path: baseline.get(path, axis.ends()[0][1]) for path, axis in space.axes.items()}


def _trials(space: Space, usual: Params) -> Iterator[dict[str, Value]]:
    ends = {path: [value for _, value in axis.ends()] for path, axis in space.axes.items()}
    for path, values in ends.items():
        for value in values:
            yield from _with(space, usual, {path: value})
    pairs = [
        {one: value, other: second}
        for one, other in itertools.combinations(ends, 2)
        for value in ends[one]
        for second in ends[other]
    ]
    if len(pairs) > PAIRS:
        pairs = random.Random(0).sample(pairs, PAIRS)
    for pair in pairs:
        yield from _with(space, usual, pair)
    rng = random.Random(0)
    for _ in range(RANDOM_TRIALS):
        yield space.draw(rng)


def _with(space: Space, usual: Params, wanted: Params) -> Iterator[dict[str, Value]]:
    """A trial that has all the wanted values, if there is one: their ancestors are set so that they exist."""

    def values(path: str) -> list[Value]:
        return [wanted[path]] if path in wanted else conditions.telling_values(space.axes, path)

    involved = conditions.ancestors(space.axes, wanted)
    for params in conditions.combinations(space.axes, space.fixed, values, involved):
        if params.keys() >= wanted.keys():
            yield _completed(space, usual, params)
            return


def _completed(space: Space, usual: Params, wanted: Params) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for path in space.order:
        if conditions.applies(space.axes[path], {**space.fixed, **params}):
            params[path] = wanted.get(path, usual[path])
    return params


@dataclass
class _Cause:
    """Where a mistake comes from: a place in the file, the value there if it matters, and what it clashes with."""

    place: tuple[str | int, ...]
    label: str
    text: str
    beside: str
    apart: tuple[str, ...] = ()
    """what tells it from others of the same place and kind"""
    likewise: dict[tuple[str, ...], str] = field(default_factory=dict)

    def line(self) -> str:
        parts = " ".join(part for part in (self.label, self.beside) if part)
        more = list(self.likewise.values())[:_LIKEWISE]
        if len(self.likewise) > _LIKEWISE:
            more.append(f"{len(self.likewise) - _LIKEWISE} more")
        likewise = f" (likewise {', '.join(more)})" if more else ""
        return f"{parts}: {self.text}{likewise}" if parts else f"{self.text}{likewise}"


class _Proof:
    """Mistakes found so far, one a cause."""

    def __init__(self, space: Space, task: Task | None) -> None:
        self.space, self.task = space, task
        self.usual = _usual(space)
        self._causes: dict[tuple[object, ...], _Cause] = {}
        self._explained: set[str] = set()
        self._unexplained: dict[str, _Cause] = {}
        self._tries: Counter[str] = Counter()
        choices = [axis.options for axis in space.axes.values() if isinstance(axis, Choice)]
        self._options = {shown(option) for option in itertools.chain(*choices)}

    def lines(self) -> list[str]:
        for message, cause in self._unexplained.items():
            if message not in self._explained:
                self._add(cause)
        causes = sorted(self._causes.values(), key=lambda cause: self.space.position(cause.place))
        return list(dict.fromkeys(self.space.mistake(cause.place, cause.line()) for cause in causes))

    def try_baseline(self) -> None:
        try:
            config = self.space.baseline_config()
            messages = config.mistakes_for(self.task) if self.task else []
        except UserError as error:
            messages = list(error.mistakes)
        for message in messages:
            path = _subject(message, {**self.space.fixed, **self.space.baseline})
            place: tuple[str, ...] = ("baseline",)
            if path in self.space.fixed and path not in self.space.baseline:
                place = ("fixed", path)
            elif path:
                place = ("baseline", path)
            beside = "in the baseline" if place[0] == "fixed" else ""
            self._add(_Cause(place, "", _body(message, path) + self._remedy(message, place), beside))

    def try_params(self, params: Params) -> None:
        for message in self._messages(params):
            alike = _without_numbers(message)
            if message in self._explained or max(self._tries[message], self._tries[alike] // _ALIKE) >= _TRIES:
                continue
            self._tries.update([message, alike])
            cause = self._cause(message, params)
            if cause.label or cause.beside:
                self._explained.add(message)
                self._add(cause)
            else:  # another mistake may hide what matters; another trial may show it
                self._unexplained.setdefault(message, cause)

    def _messages(self, params: Params) -> list[str]:
        try:
            config = self.space.config(params)
        except UserError as error:
            return list(error.mistakes)
        return config.mistakes_for(self.task) if self.task else []

    def _cause(self, message: str, params: Params) -> _Cause:
        """The field that a mistake is about and the axes without whose values it would not be."""
        matter = [path for path in params if self._matters(path, message, params)]
        path = _subject(message, {**self.space.fixed, **params}) or next(iter(matter), "")
        axis = self.space.axes.get(path)
        place: tuple[str | int, ...] = ("axes", path) if axis else ("fixed", path) if path else ("fixed",)
        label = ""
        if axis and path in matter:
            ends = axis.ends()
            index = next((k for k, (_, value) in enumerate(ends) if same(value, params[path])), None)
            label = f"{'value' if index is None else ends[index][0]} {shown(params[path])}"
            if isinstance(axis, Choice) and index is not None:
                place = (*place, "choice", index)
        others = [other for other in matter if other != path]
        beside = " and ".join(f"{other} {shown(params[other])}" for other in others)
        apart = tuple(shown(params[other]) for other in others if isinstance(self.space.axes[other], Choice))
        text = _body(message, path) + self._remedy(message, place)
        return _Cause(place, label, text, f"with {beside}" if beside else "", apart)

    def _matters(self, path: str, message: str, params: Params) -> bool:
        """Whether the mistake goes away with another value of an axis, and no other mistake hides it instead."""
        others = [value for _, value in self.space.axes[path].ends() if not same(value, params[path])]
        changed = (_completed(self.space, self.usual, {**params, path: value}) for value in others)
        remaining = set(self._messages(params)) - {message}
        return any(remaining.issuperset(self._messages(other)) for other in changed)

    def _remedy(self, message: str, place: tuple[str | int, ...]) -> str:
        """How to give a field only to the kinds that have it."""
        known = CONFIG_FIELDS.get(str(place[1])) if len(place) > 1 else None
        if not known or not known.kinds or "has no field" not in message:
            return ""
        kind = self.space.axes.get(known.kind_path)
        having = ", ".join(name for name in known.kinds if kind is None or kind.holds(name)) or known.kinds[0]
        if place[0] == "baseline":
            return f"; leave it out, or choose {known.kind_path} {having}"
        if place[0] == "axes":
            return f"; add when: {{{known.kind_path}: [{having}]}}"
        value = shown(self.space.fixed[known.path])
        return f"; make it an axis, {known.path}: {{choice: [{value}], when: {{{known.kind_path}: [{having}]}}}}"

    def _add(self, cause: _Cause) -> None:
        """Keeps one cause for a place and a kind of mistake; others of the same become its `likewise`."""
        words = re.findall(r"[\w.%:]+", cause.text)
        shape = " ".join("#" if word in self._options else _without_numbers(word) for word in words)
        first = self._causes.setdefault((cause.place, shape), cause)
        if cause.beside and cause.apart not in (first.apart, *first.likewise):
            first.likewise[cause.apart] = cause.beside


def _subject(message: str, given: Mapping[str, Value]) -> str:
    """The first field that a message mentions among those that are given; empty if none."""
    return next((word for word in re.findall(r"[a-z_]+(?:\.[a-z_]+)*", message) if word in given), "")


def _body(message: str, path: str) -> str:
    return message.removeprefix(f"{path}: ")


def _without_numbers(text: str) -> str:
    return re.sub(r"\b\d+(\.\d+)?\b", "#", text)
