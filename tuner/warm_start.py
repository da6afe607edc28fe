"""The best configs of an earlier search, to be tried first in a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.axes import Value, shown
from search_spaces.fields import flattened
from search_spaces.space import Space
from trainable.config import TrialConfig
from trainable.errors import UserError
from tuner.records import SearchRecord
from tuner.storage.place import Place
from tuner.store import Store
from tuner.tolerant import mapping, text


@dataclass(frozen=True)
class WarmTrial:
    """Values of a space's axes that did well elsewhere."""

    params: Mapping[str, Value]
    origin: str
    """such as `birds/t0007`"""


@dataclass(frozen=True)
class WarmStart:
    """What an earlier search gives a new one."""

    trials: tuple[WarmTrial, ...] = ()
    """best first, each of its own values"""
    notes: tuple[str, ...] = ()
    """what was left out and why, and what else is to be known"""


def warm_start(
    space: Space,
    name: str,
    results: Place,
    top: int,
    *,
    data_hash: str,
    breach: Callable[[TrialConfig], str | None],
) -> WarmStart:
    """The best finished trials of a search, as far as this space has their values; it may have other means and data.

    Args:
        name: of a search in `results`, or its folder
        top: how many trials at most
        data_hash: of the new search
        breach: tells the limit that a config breaks

    Raises:
        UserError: a grid, which tries everything anyway; no such search; nothing in it that this space can try.
    """
    if space.sampler == "grid":
        raise UserError(
            f"--warm-start {name}: a grid tries everything anyway; leave it out, or sample by tpe or random"
        )
    search = Store.open(name, results).record()
    best = [trial for trial in search.ranked() if trial.eligible and trial.parent is None][:top]
    if not best:
        raise UserError(f"--warm-start {name}: no trial of it has finished; give another search, or leave it out")
    found: dict[str, WarmTrial] = {}
    left_out = []
    for trial in best:
        origin = f"{search.name}/{trial.id}"
        params = space.params_of(trial.config)
        reasons = list(_outside(space, params, trial.config))
        if not reasons and (broken := breach(space.config(params))):
            reasons = [broken]
        if reasons:
            left_out.append(f"warm start: {origin} is left out: {', '.join(reasons)}")
        elif params != space.baseline_params():
            found.setdefault(repr(params), WarmTrial(params, origin))
    if not found and left_out:
        raise UserError(f"--warm-start {name}: this space has none of its best trials", *left_out)
    return WarmStart(tuple(found.values()), (*left_out, *_remarks(search, space.objective, data_hash)))


def stored_warm_start(stored: Mapping[str, Any]) -> WarmStart:
    """What a search was given when it began, as `resolved_yaml` tells; the other search may be gone by now."""
    told = [mapping(one) for one in stored.get("warm") or ()]
    return WarmStart(tuple(WarmTrial(mapping(one.get("params")), text(one.get("origin"))) for one in told))


def _outside(space: Space, params: Mapping[str, Value], config: Mapping[str, Any]) -> Iterator[str]:
    """What of a config is not in the space, an axis each."""
    given = flattened(config)
    for path in space.order:
        if space.active(path, params) and path not in params:
            yield f"{path} {shown(given[path])} is not in this space" if path in given else f"it has no {path}"


def _remarks(search: SearchRecord, objective: str, data_hash: str) -> Iterator[str]:
    if search.data.get("hash") == data_hash:
        yield (
            f"warm start: {search.name} was run on the same images: validation has been chosen by once already, so "
            "the best values here are more optimistic than their intervals say"
        )
    if search.metric != objective:
        yield f"warm start: {search.name} was ranked by {search.metric}, not by {objective}"
