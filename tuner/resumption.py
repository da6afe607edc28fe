"""A search that was left before its end, proved again: it goes on only as what it was, unless changes are accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from search_spaces.document import Document, parse_yaml, read_yaml
from search_spaces.shipped import find_space
from search_spaces.space import read_space
from trainable.config import parse_config
from trainable.errors import UserError
from trainable.plugins import loaded_plugins
from tuner.changes import IS_NOT_WHAT_IT_WAS, changes_since, differences
from tuner.children import choose_parents
from tuner.config import AS_BEFORE, Grant, SearchConfig
from tuner.extension import Extension, with_more_trials
from tuner.notifications.delivery import Channel
from tuner.plugins import load_plugins
from tuner.proved import ProvedSearch, prove
from tuner.records import Continuation, SearchRecord
from tuner.store import Store
from tuner.tolerant import mapping, text
from tuner.tracking.trackers import given_tracking
from tuner.warm_start import stored_warm_start


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
    tracking: str | None = None
    """likewise"""


def prove_again(
    store: Store,
    *,
    accept_changes: bool,
    extension: Extension | None = None,
    limits: Grant = AS_BEFORE,
    notify: Sequence[Channel] = (),
    tracking: str | None = None,
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
    if extension and record.extensions and record.status != "complete":
        raise UserError(
            f"search {store.name!r} is not through with {record.extensions[-1]}: `tuner resume` finishes that; then "
            "extend it again"
        )
    stored = (parse_yaml(record.resolved, "search.yaml") if record.resolved else read_yaml(store.search_yaml)).data
    config = _stored_config(stored, store)
    known = {plugin.name for plugin in loaded_plugins()}
    load_plugins(file for file in sorted((store.folder / "plugins").glob("*.py")) if file.name not in known)
    before = parse_yaml(text(stored.get("space")), config.space)
    now = _space_of_today(config.space)
    in_space = list(differences("space", before.data, now.data)) if now else []
    space = read_space(now if now and in_space and accept_changes else before)
    extended, children = "", tuple[Continuation, ...]()
    if extension and extension.epochs:
        children = choose_parents(record, extension.epochs, extension.top or config.top_k)
        extended = f"{extension.epochs} more epochs for {', '.join(child.parent for child in children)}"
    elif extension:
        config, space, extended = with_more_trials(config, space, extension, record.sampled)
    shown = {"notify": tuple(notify)} | ({"tracking": given_tracking(tracking)} if tracking else {})
    config = config.model_copy(update={**limits.given, **shown})
    proved = prove(config, space, also=_pretrained(record), warm=stored_warm_start(stored))
    changes = [*in_space, *changes_since(stored, store, proved)]
    if extension and proved.data.hash != mapping(stored.get("data")).get("hash"):
        raise UserError(
            f"search {store.name!r} cannot be extended on other data: new trials could not be compared with those that "
            "are there; restore the data, or run a search of its own",
            *(change for change in changes if change.startswith("data")),
        )
    if changes and not accept_changes:
        raise UserError(
            f"search {store.name!r} {IS_NOT_WHAT_IT_WAS}; undo that, or go on with --accept-changes, which records it:",
            *changes,
        )
    # what is added takes time of its own, by default as much as the search was given
    granted = {"hours": config.hours, "gpu_hours": config.gpu_hours} if extension else limits.times
    return Resumption(proved, tuple(changes), extended, children, granted, limits, tracking)


def _pretrained(record: SearchRecord) -> tuple[str, ...]:
    """Backbones of trials so far whose weights they may ask for again; the space may have others by now."""
    configs = [parse_config(trial.config) for trial in record.trials]
    return tuple(dict.fromkeys(config.backbone for config in configs if config.pretrained))


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
