"""What inspection found in a search's data as the search began."""

from __future__ import annotations

import json
from typing import Any

from tuner.store import Store


def stored_inspection(store: Store) -> dict[str, Any]:
    """As `Inspection.to_json`: `balance`, `co_occurrence`, `sizes`, `problems`, `duplicates`, `drift` and more.

    Empty where an earlier version of Thaw ran the search.
    """
    if not store.inspection_json.exists():  # it is written once
        store.fetch(store.inspection_json)
    try:
        stored = json.loads(store.inspection_json.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def stored_duplicates(store: Store) -> list[dict[str, Any]]:
    """Every image that shows what one before it shows: the fields of `Duplicate`, and whether it is `across` splits."""
    found = stored_inspection(store).get("duplicates")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
