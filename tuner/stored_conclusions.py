"""The conclusions that a search has written, also in another language than it wrote them in."""

from __future__ import annotations

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord
from tuner.store import Store
from tuner.wording.language import Language


def stored_conclusions(store: Store, record: SearchRecord, evidence: Evidence, language: Language | None = None) -> str:
    """conclusions.md, drawn anew where that is in another language; empty before there are any."""
    written = store.conclusions()
    if not written or language in (None, record.language):
        return written
    from tuner.conclusions.conclude import conclusions_of
    from tuner.ray_backend.importance import stored_importances  # Optuna takes seconds to import

    told = record.told_in(language)
    return conclusions_of(told, evidence, stored_importances(store, told))
