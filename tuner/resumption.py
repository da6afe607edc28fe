"""A search that was left before its end, proved again: it goes on only as what it was, unless changes are accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from search_spaces.document import Document, parse_yaml, read_yaml
from search_spaces.fields import flattened
from search_spaces.overrides import NO_OVERRIDES, override
from search_spaces.shipped import find_space
from search_spaces.space import Space, load_space, read_space
from trainable.data.splits import read_splits
from trainable.errors import UserError
from trainable.plugins import loaded_plugins
from tuner.children import choose_parents
from tuner.config import AS_BEFORE, Grant, SearchConfig
from tuner.plugins import load_plugins
from tuner.preparation import PreparedData
from tuner.proved import ProvedSearch, prove
from tuner.provenance import git_commit, versions
from tuner.records import Continuation
from tuner.store import Store
from tuner.tolerant import mapping, text

SHOWN_IMAGES = 3


@dataclass(frozen=True)
class Extension:
    """What a search is to try beyond what it was begun with: more trials, or more epochs for its best ones."""

    trials: int | None = None
    """more than it had; None: as many as `space` has, or none"""
    space: str | None = None
    """a shipped one's name or a file, whose trials they are; None: the search's own"""
    epochs: int | None = None
    """more than they had, for the best trials"""
    top: int | None = None
    """how many of those; None: as many as the search has in top/"""


@dataclass(frozen=True)
class Resumption:
    """What goes on, and how it differs from what began."""

    proved: ProvedSearch
    changes: tuple[str, ...] = ()
    extended: str = ""
    """how it is, in words"""
    children: tuple[Continuation, ...] = ()
    """trials that are to have more epochs"""
    granted: Mapping[str, float | None] = field(default_factory=dict)
    """limits of time that count from now on, by their fields"""
    limits: Grant = AS_BEFORE
    """that were given anew"""


def prove_again(
    store: Store, *, accept_changes: bool, extension: Extension | None = None, limits: Grant = AS_BEFORE
) -> Resumption:
    """Prove a search that was left: everything as `prove_search`, and that space, data and code are what they were.

    Plugins are those in the search's folder. A space's file that is gone is no change: the search has its text.

    Raises:
        UserError: the search has come to its end and is not extended, cannot be read, or is not what it was: every key
            that differs; or the extension's space would make trials that cannot be compared with those that are there.
    """
    record = store.record()
    left = [trial.id for trial in (*record.trials, *record.reruns) if trial.unfinished]
    if extension is None and record.status == "complete" and store.conclusions_md.exists() and not left:
        raise UserError(
            f"search {store.name!r} is complete: there is nothing to resume; `tuner extend` adds trials to it"
        )
    if not store.search_yaml.exists():
        raise UserError(
            f"search {store.name!r} was killed before it had begun: remove {store.place} and start it again"
        )
    stored = read_yaml(store.search_yaml).data
    config = _stored_config(stored, store)
    known = {plugin.name for plugin in loaded_plugins()}
    load_plugins(file for file in sorted((store.folder / "plugins").glob("*.py")) if file.name not in known)
    before = parse_yaml(text(stored.get("space")), config.space)
    now = _space_of_today(config.space)
    in_space = list(_differences("space", before.data, now.data)) if now else []
    space = read_space(now if now and in_space and accept_changes else before)
    extended, children = "", tuple[Continuation, ...]()
    if extension and extension.epochs:
        children = choose_parents(record, extension.epochs, extension.top or config.top_k)
        extended = f"{extension.epochs} more epochs for {', '.join(child.parent for child in children)}"
    elif extension:
        config, space, extended = _with_more_trials(config, space, extension)
    config = config.model_copy(update=limits.given)
    proved = prove(config, space)
    changes = [*in_space, *_in_code(stored), *_in_data(store, mapping(stored.get("data")), proved.data)]
    if changes and not accept_changes:
        raise UserError(
            f"search {store.name!r} is not what it was when it was left; undo that, or go on with --accept-changes, "
            "which records it:",
            *changes,
        )
    # what is added takes time of its own, by default as much as the search was given
    granted = {"hours": config.hours, "gpu_hours": config.gpu_hours} if extension else limits.times
    return Resumption(proved, tuple(changes), extended, children, granted, limits)


def _with_more_trials(config: SearchConfig, space: Space, extension: Extension) -> tuple[SearchConfig, Space, str]:
    """The search with more trials, of a wider space if one is given, and how it is extended in words."""
    before = config.trials or space.trials()
    if extension.space is None:
        added = extension.trials or 0
        return config.model_copy(update={"trials": before + added}), space, _counted(added)
    wider, space = load_space(extension.space), override(space, config.overrides)[0]
    for name in ("objective", "task", "scheduler"):
        there, here = getattr(space, name), getattr(wider, name)
        if there != here:
            raise UserError(
                f"--space {extension.space}: its {name} is {_told(here)}, the search's {_told(there)}: trials could "
                f"not be compared; give it the same {name}, or run a search of its own"
            )
    if space.baseline_config().epochs != wider.baseline_config().epochs:
        raise UserError(f"--space {extension.space}: its trials have other epochs than the search's; make them equal")
    added = extension.trials or wider.trials()
    again = {"trials": before + added, "space": extension.space, "overrides": NO_OVERRIDES}
    return config.model_copy(update=again), wider, f"{_counted(added)} of {extension.space}"


def _counted(trials: int) -> str:
    return f"{trials} more trial{'s' * (trials > 1)}"


def _told(setting: Any) -> str:
    return str(setting.model_dump() if hasattr(setting, "model_dump") else setting)


def _stored_config(stored: Mapping[str, Any], store: Store) -> SearchConfig:
    here = {"name": store.name, "results": store.results}
    try:
        return SearchConfig.model_validate({**mapping(stored.get("search")), **here})
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, finding["loc"])) for finding in error.errors())
        raise UserError(
            f"{store.shown(store.search_yaml)}: another version of Thaw wrote it ({wrong}); resume with that version"
        ) from None


def _space_of_today(space: str) -> Document | None:
    try:
        return read_yaml(find_space(space))
    except UserError:
        return None


def _differences(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A line for each key that differs."""
    earlier, today = flattened(before), flattened(now)
    for key in dict.fromkeys([*earlier, *today]):
        if earlier.get(key) != today.get(key):
            yield f"{name}.{key}: {_shown(earlier, key)} -> {_shown(today, key)}"


def _shown(found: Mapping[str, Any], key: str) -> str:
    return str(found[key]) if key in found else "(not there)"


def _in_code(stored: Mapping[str, Any]) -> Iterator[str]:
    yield from _differences("versions", mapping(stored.get("versions")), versions())
    before, now = stored.get("git"), git_commit()
    if before != now:
        yield f"git: {before} -> {now}"


def _in_data(store: Store, stored: Mapping[str, Any], now: PreparedData) -> Iterator[str]:
    if stored.get("hash") == now.hash:
        return
    before = {row.image: row for row in read_splits(store.splits)}
    today = {row.image: row for row in now.rows}
    changed = [image for image in before.keys() & today.keys() if before[image] != today[image]]
    kinds = {"added": today.keys() - before.keys(), "gone": before.keys() - today.keys(), "changed": changed}
    for kind, images in kinds.items():
        if images:
            some = ", ".join([*sorted(images)[:SHOWN_IMAGES], *["..."] * (len(images) > SHOWN_IMAGES)])
            yield f"data: {len(images)} image{'s' * (len(images) > 1)} {kind}: {some}"
    labels = (", ".join(map(str, stored.get("labels") or ())), ", ".join(now.labels))
    if labels[0] != labels[1]:
        yield f"data.labels: {labels[0]} -> {labels[1]}"
