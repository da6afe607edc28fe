"""How much is left of what a search was granted."""

from __future__ import annotations

from search_spaces.document import parse_yaml
from trainable.errors import UserError
from tuner.records import SearchRecord
from tuner.spending import time_spent
from tuner.store import Store
from tuner.tolerant import mapping, number, text
from tuner.tracking.clearml.described import resolved_yaml


def budget_left(store: Store, search: SearchRecord) -> dict[str, float]:
    """Percent of its trials and of its hours; what it has no limit of is left out."""
    left = {}
    if search.budget:
        ended = sum(trial.status not in ("running", "waiting") for trial in search.trials)
        left["trials"] = _percent(ended, search.budget)
    if hours := _hours(store, search):
        left["time"] = _percent(time_spent(store.events()).hours, hours)
    return left


def _percent(spent: float, granted: float) -> float:
    return round(100 * max(0.0, 1 - spent / granted), 1)


def _hours(store: Store, search: SearchRecord) -> float | None:
    """As it was told to take, or else as its space says."""
    try:
        resolved = parse_yaml(resolved_yaml(store, search), "search.yaml").data
        space = parse_yaml(text(resolved.get("space")), "space").data
    except UserError:
        return None
    return number(mapping(resolved.get("search")).get("hours")) or number(mapping(space.get("budget")).get("hours"))
