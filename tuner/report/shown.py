"""A search or a trial as plain facts, for `tuner show` and `tuner ls`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trainable.errors import UserError, nearest
from tuner.records import Note, SearchRecord


def search_facts(search: SearchRecord) -> dict[str, Any]:
    """What a search is and how far it has come."""
    by_status: dict[str, int] = {}
    for trial in search.trials:
        by_status[trial.status] = by_status.get(trial.status, 0) + 1
    best = search.best
    return {
        "name": search.name,
        "status": search.status,
        "reason": search.reason,
        "space": search.space,
        "task": search.task,
        "objective": search.metric,
        "direction": search.direction,
        "sampler": search.sampler,
        "scheduler": dict(search.scheduler),
        "started": search.started,
        "finished": f"{sum(trial.eligible or trial.status == 'pruned' for trial in search.trials)}/{search.budget}",
        "trials": by_status,
        "best": best.id if best else None,
        "best_value": best.best_value if best else None,
        "data": dict(search.data),
        "notes": _notes(search.notes),
    }


def trial_facts(search: SearchRecord, id: str) -> dict[str, Any]:
    """A trial's config, result and curve.

    Raises:
        UserError: the search has no such trial.
    """
    trial = next((trial for trial in search.trials if trial.id == id), None)
    if trial is None:
        ids = [trial.id for trial in search.trials]
        raise UserError(f"search {search.name!r} has no trial {id!r}{nearest(id, ids)} (it has {len(ids)} trials)")
    return {
        "trial": trial.id,
        "status": trial.status,
        "error": trial.error,
        "rank": search.ranks().get(trial.id),
        "baseline": trial.baseline,
        "config": dict(trial.config),
        "freeze_blocks": trial.freeze_blocks,
        "best_epoch": trial.best_epoch,
        "best_value": trial.best_value,
        "val": dict(trial.best_metrics),
        "test": dict(trial.test),
        "per_class": trial.best_details.get("per_class"),
        "seconds": trial.seconds,
        "images_per_second": trial.images_per_second,
        "peak_memory_gib": trial.peak_memory_gib,
        "trained_parameters": trial.trained_parameters,
        "total_parameters": trial.total_parameters,
        "notes": _notes(note for note in search.notes if note.trial == trial.id),
        "curve": [
            {"epoch": epoch.epoch, "value": epoch.value, "train_loss": epoch.train_loss, "lr": epoch.lr}
            for epoch in trial.epochs
        ],
    }


def _notes(notes: Iterable[Note]) -> list[dict[str, str]]:
    return [{"time": note.time} | ({"trial": note.trial} if note.trial else {}) | {"text": note.text} for note in notes]
