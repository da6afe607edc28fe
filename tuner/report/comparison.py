"""Two searches, or a search and a trial of an earlier one, side by side: scores, configs, and what else differed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from search_spaces.axes import same
from trainable.errors import UserError
from tuner.evidence.across import difference_across
from tuner.evidence.gathering import Difference, Split
from tuner.records import TrialRecord
from tuner.report.sides import Side, read_side
from tuner.storage.place import Place
from tuner.tolerant import flat, mapping, text
from tuner.wording.language import ENGLISH, Language, Wording, wording

SPLITS: tuple[Split, ...] = ("val", "test")
_AXIS_DEFAULTS = (("log", False), ("step", 1))
_TOLD_ELSEWHERE = ("path", "task", "data_seed")
"""options of the data that a record has as what they came to"""
_ROUNDING = 1e-4
"""predictions whose metric is further from the recorded one than this were decided otherwise, such as at 0.5"""


@dataclass(frozen=True)
class Score:
    """A metric of both on one split; the change is the second's minus the first's."""

    split: Split
    metric: str
    one: float | None
    other: float | None
    change: float | None
    """None where a value is missing, or they are of different images"""


@dataclass(frozen=True)
class Unlike:
    """A field in which the two differ; None where one has no such field."""

    field: str
    one: Any
    other: Any


@dataclass(frozen=True)
class Comparison:
    """Two sides and all that is told of them."""

    one: Side
    other: Side
    obstacles: tuple[str, ...]
    """why they cannot be ranked against each other; empty: they can"""
    scores: tuple[Score, ...]
    differences: Mapping[Split, Difference]
    """of the objective, second minus first, with its interval; only where both have predictions of the same images"""
    config: tuple[Unlike, ...]
    equal: Mapping[str, Any]
    """config fields in which they agree"""
    unlike: Mapping[str, tuple[Unlike, ...]]
    """`space`, `data` and `run` -> what differs there"""
    ranked: tuple[tuple[str, TrialRecord], ...]
    """eligible trials of two searches that may be ranked, best first, each with its search's label"""
    language: Language = "en"

    def say(self, text: str, /, **values: object) -> str:
        """A text of it, in its language."""
        return wording(self.language)(text, **values)


def compare(one: str, other: str, results: Place, force: bool = False, language: Language | None = None) -> Comparison:
    """Read both and put them side by side.

    Args:
        one: a search's name or folder, or a best.yaml or a file of top/
        other: likewise; changes are this one's minus the first one's
        results: the folder of searches
        force: also show what cannot be ranked
        language: None: that of the first one's search

    Raises:
        UserError: there is no such search or file, it has no result, or (without `force`) the two cannot be ranked.
    """
    left, right = _labelled(read_side(one, results), read_side(other, results))
    language = language or left.search.language
    obstacles = tuple(_obstacles(left, right, wording(language)))
    if obstacles and not force:
        told = _obstacles(left, right, ENGLISH)
        raise UserError(*(f"{obstacle}; --force shows both without ranking them" for obstacle in told))
    same_data = _same_data(left, right)
    return Comparison(
        one=left,
        other=right,
        obstacles=obstacles,
        scores=tuple(_scores(left.trial, right.trial, same_data)),
        differences={} if obstacles else _differences(left, right),
        config=_unlike(left.config, right.config),
        equal=_equal(left.config, right.config),
        unlike=_unlike_facts(left, right),
        ranked=() if obstacles or left.is_file or right.is_file else _ranked(left, right),
        language=language,
    )


def _labelled(one: Side, other: Side) -> tuple[Side, Side]:
    """Both, told apart by their labels."""
    if one.label != other.label:
        return one, other
    return replace(one, label=f"{one.label} (1)"), replace(other, label=f"{other.label} (2)")


def _same_data(one: Side, other: Side) -> bool:
    return bool(_hash(one)) and _hash(one) == _hash(other)


def _hash(side: Side) -> str:
    return text(side.search.data.get("hash"))


def _obstacles(one: Side, other: Side, say: Wording) -> Iterator[str]:
    names = {"one": one.label, "other": other.label}
    if not _same_data(one, other):
        hashes = [_hash(side)[:12] or say("unknown") for side in (one, other)]
        yield say(
            "{one} has data {its} and {other} has data {others}: scores on other images, labels or splits cannot be "
            "ranked",
            **names,
            its=hashes[0],
            others=hashes[1],
        )
    metrics = [(side.search.metric, side.search.direction) for side in (one, other)]
    if metrics[0] != metrics[1]:
        yield say(
            "{one} has objective {its} and {other} has objective {others}: they cannot be ranked",
            **names,
            its=one.search.metric,
            others=other.search.metric,
        )


def _scores(one: TrialRecord, other: TrialRecord, same_data: bool) -> Iterator[Score]:
    for split in SPLITS:
        mine, its = scores_of(one, split), scores_of(other, split)
        for metric in dict.fromkeys((*mine, *its)):
            before, after = mine.get(metric), its.get(metric)
            change = None if before is None or after is None or not same_data else after - before
            yield Score(split, metric, before, after, change)


def scores_of(trial: TrialRecord, split: Split) -> Mapping[str, float]:
    """A trial's metrics on validation (at its best epoch) or on test."""
    return trial.best_metrics if split == "val" else trial.test


def _differences(one: Side, other: Side) -> dict[Split, Difference]:
    """Of the objective, second minus first."""
    found: dict[Split, Difference] = {}
    if not (one.store and other.store):
        return found
    metric = one.search.metric
    for split in SPLITS:
        before, after = scores_of(one.trial, split).get(metric), scores_of(other.trial, split).get(metric)
        paired = difference_across((other.store, other.trial.id), (one.store, one.trial.id), split, metric)
        if paired is None or before is None or after is None or abs(paired.value - (after - before)) > _ROUNDING:
            continue
        found[split] = paired
    return found


def _unlike_facts(one: Side, other: Side) -> dict[str, tuple[Unlike, ...]]:
    whole = bool(one.space and other.space)
    found = {}
    for group, facts_of in (("space", _space_facts), ("data", _data_facts), ("run", _run_facts)):
        mine, its = facts_of(one), facts_of(other)
        # a file alone does not say that a field was not there
        found[group] = tuple(row for row in _unlike(mine, its) if whole or (row.field in mine and row.field in its))
    return found


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Unlike, ...]:
    """Fields of either that are not `_equal`, in order."""
    agreed = _equal(one, other)
    return tuple(
        Unlike(path, one.get(path), other.get(path)) for path in dict.fromkeys((*one, *other)) if path not in agreed
    )


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {path: value for path, value in one.items() if path in other and same(value, other[path])}


def _space_facts(side: Side) -> dict[str, Any]:
    search, space = side.search, side.space
    facts = {
        "space": search.space,
        "objective": search.metric,
        "sampler": search.sampler,
        **_under("scheduler", search.scheduler),
        "trials": search.budget,
        "hours": mapping(side.source.get("search")).get("hours"),
        "overrides": list(search.overrides),
        **_under("fixed", flat(space.get("fixed"))),
        **_under("baseline", flat(space.get("baseline"))),
        **_under("axes", {path: _axis(axis) for path, axis in mapping(space.get("axes")).items()}),
    }
    return _known(facts)


def _data_facts(side: Side) -> dict[str, Any]:
    data = side.search.data
    options = {name: value for name, value in flat(data.get("options")).items() if name not in _TOLD_ELSEWHERE}
    facts = {name: data.get(name) for name in ("hash", "root", "layout", "data_seed")}
    facts |= {"task": side.search.task, "labels": list(side.search.labels)}
    return _known(facts | _under("images", flat(data.get("sizes"))) | options)


def _run_facts(side: Side) -> dict[str, Any]:
    search = side.search
    facts = {name: getattr(search, name) for name in ("seed", "precision", "threads", "git")}
    facts["device"] = side.trial.epochs[-1].device if side.trial.epochs else ""
    return _known(facts | _under("plugin", search.plugins) | _under("version", search.versions))


def _under(group: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{group}.{name}": value for name, value in fields.items()}


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


def _axis(axis: Any) -> Any:
    """An axis as it is written at full length, so that equal ones are equal."""
    if not isinstance(axis, Mapping):
        return axis
    when = {path: given if isinstance(given, list) else [given] for path, given in mapping(axis.get("when")).items()}
    plain = {name: value for name, value in axis.items() if name != "when" and (name, value) not in _AXIS_DEFAULTS}
    return plain | ({"when": when} if when else {})


def _ranked(one: Side, other: Side) -> tuple[tuple[str, TrialRecord], ...]:
    sign = -1.0 if one.search.direction == "maximize" else 1.0
    found = [
        (sign * trial.best_value, side.label, trial)
        for side in (one, other)
        for trial in side.search.ranked()
        if trial.eligible and trial.best_value is not None
    ]
    return tuple((label, trial) for _, label, trial in sorted(found, key=lambda row: row[0]))
