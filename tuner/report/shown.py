"""A search or a trial as plain facts, for `tuner show` and `tuner ls`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from trainable.errors import UserError, nearest
from tuner.evidence.gathering import Evidence
from tuner.records import Note, SearchRecord, TrialRecord
from tuner.report.entries import ended
from tuner.report.footnotes import in_parts


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
        "precision": search.precision,
        "sampler": search.sampler,
        "scheduler": dict(search.scheduler),
        "started": search.started,
        "finished": f"{sum(_is_through(trial) for trial in search.trials)}/{search.budget}",
        "trials": by_status,
        "best": best.id if best else None,
        "best_value": best.best_value if best else None,
        "references": {reference.name: dict(reference.val) for reference in search.references},
        "reruns": len(ended(search.reruns)),
        "data": dict(search.data),
        "notes": _notes(search.notes),
    }


def _is_through(trial: TrialRecord) -> bool:
    """Whether a search was done with a trial, be it for the time being."""
    return trial.eligible or trial.status == "pruned" or trial.halted_at is not None


def trial_facts(search: SearchRecord, id: str, evidence: Evidence | None = None) -> dict[str, Any]:
    """A trial's (or rerun's) config, result and curve; `evidence` gives its rank and how sure its value is.

    Raises:
        UserError: the search has no such trial.
    """
    trials = {trial.id: trial for trial in (*search.trials, *search.reruns)}
    if id not in trials:
        hint = nearest(id, list(trials))
        raise UserError(f"search {search.name!r} has no trial {id!r}{hint} (it has {len(search.trials)} trials)")
    trial = trials[id]
    return {
        "trial": trial.id,
        "status": trial.status,
        "error": trial.error,
        "rank": (evidence.ranks if evidence else search.ranks()).get(trial.id),
        "baseline": trial.baseline,
        "rerun": asdict(trial.rerun) if trial.rerun else None,
        "config": dict(trial.config),
        **({"memory": in_parts(search, trial)} if trial.short_of_memory else {}),
        "freeze_blocks": trial.freeze_blocks,
        "best_epoch": trial.best_epoch,
        "best_value": trial.best_value,
        **certainty(search, trial, evidence),
        "val": dict(trial.best_metrics),
        "test": dict(trial.test),
        "per_class": trial.best_details.get("per_class"),
        "seconds": trial.seconds,
        "images_per_second": trial.images_per_second,
        "peak_memory_gib": trial.peak_memory_gib,
        "compute": dict(trial.epochs[-1].compute) if trial.epochs else {},
        "features": dict(trial.features),
        "trained_parameters": trial.trained_parameters,
        "total_parameters": trial.total_parameters,
        "notes": _notes(note for note in search.notes if note.trial == trial.id),
        "curve": [
            {"epoch": epoch.epoch, "value": epoch.value, "train_loss": epoch.train_loss, "lr": epoch.lr}
            for epoch in trial.epochs
        ],
    }


def certainty(search: SearchRecord, trial: TrialRecord, evidence: Evidence | None) -> dict[str, Any]:
    """Interval, ties and the spread of repeats, as far as there are any."""
    found: dict[str, Any] = {}
    if evidence is None:
        return found
    if interval := evidence.intervals.get(trial.id):
        found["interval"] = [interval.low, interval.high]
    if trial.id in evidence.tied:
        found["tied_with"] = [
            other.id for other in search.ranked() if other.id in evidence.tied and other.id != trial.id
        ]
    if spread := evidence.spreads.get(trial.id):
        found |= asdict(spread)
    return found


def _notes(notes: Iterable[Note]) -> list[dict[str, str]]:
    return [{"time": note.time} | ({"trial": note.trial} if note.trial else {}) | {"text": note.text} for note in notes]
