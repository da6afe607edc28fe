"""Where a search and its trials are shown on the web, as trackers have noted in the search's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuner.tolerant import mapping, text

FOLDER = "tracking"
"""in a search's folder"""


@dataclass(frozen=True)
class Links:
    """Web addresses; nothing that is not on a server has one."""

    search: str = ""
    trials: Mapping[str, str] = field(default_factory=dict)
    """by trial or rerun"""
    compare: str = ""
    """of a page that compares trials, with `{ids}` in the place of theirs, commas between them; empty: there is none"""
    ids: Mapping[str, str] = field(default_factory=dict)
    """what that page calls a trial"""

    def comparing(self, trials: Iterable[str]) -> str:
        """A page that compares these; empty where fewer than two of them are there."""
        ids = [self.ids[trial] for trial in trials if trial in self.ids]
        return self.compare.replace("{ids}", ",".join(ids)) if len(ids) > 1 else ""


NO_LINKS = Links()


def read_links(search_folder: Path) -> Links:
    """Those of the first tracker, by name, that has any."""
    found = (links_of(read_cursor(file)) for file in sorted((search_folder / FOLDER).glob("*.json")))
    return next((links for links in found if links.trials or links.search), NO_LINKS)


def read_cursor(file: Path) -> Mapping[str, Any]:
    """What a tracker has written of itself; empty where it has not."""
    try:
        return mapping(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def links_of(cursor: Mapping[str, Any]) -> Links:
    """The links among what a tracker has written."""
    told = mapping(cursor.get("links"))
    trials = {trial: _web(link) for trial, link in mapping(told.get("trials")).items()}
    ids = {trial: text(id) for trial, id in mapping(told.get("ids")).items() if text(id)}
    shown = {trial: link for trial, link in trials.items() if link}
    return Links(_web(told.get("search")), shown, _web(told.get("compare")), ids)


def _web(link: object) -> str:
    """A link that a browser may follow; empty for anything else."""
    return text(link) if text(link).startswith(("http://", "https://")) else ""
