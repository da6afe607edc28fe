"""Halving as a log left it: who waits at a rung, who would go on now, and what was decided and not carried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search_spaces.schedulers import NoScheduler, stored_scheduler
from tuner.ray_backend.halving.choosing import make_halving, stratum_of
from tuner.ray_backend.halving.protocol import Decision, Halving, NoHalving
from tuner.records import BASELINE
from tuner.tolerant import mapping, number, text


@dataclass
class PastHalving:
    """A search's halving, told again what its log says."""

    halving: Halving = field(default_factory=NoHalving)
    """of a finished search, `paused` are those that may go on"""
    decided: dict[str, Decision] = field(default_factory=dict)
    """trial -> what its last report led to, where it has not ended since"""


def halving_after(events: Iterable[Mapping[str, Any]]) -> PastHalving:
    """Replay a log. An audited trial is left out from there on: it went on by chance; children are left out."""
    past = PastHalving()
    within: Sequence[str] = ()
    bests: dict[str, float | None] = {}
    for event in events:
        kind, trial = event.get("kind"), text(event.get("trial"))
        if kind == "search_started":
            scheduler = stored_scheduler(event.get("scheduler"))
            within = () if isinstance(scheduler, NoScheduler) else scheduler.within
            past = PastHalving(_empty(event))
        elif kind == "trial_started" and not event.get("rerun") and not event.get("parent"):
            bests[trial] = None
            past.halving.started(trial, stratum_of(mapping(event.get("config")), within))
        elif trial not in bests:
            continue
        elif kind == "epoch":
            bests[trial] = number(event.get("best_value"))
            past.decided[trial] = past.halving.report(trial, number(event.get("epoch")) or 0, bests[trial])
        elif kind == "trial_ended":
            past.halving.ended(trial, bests[trial], event.get("status") == "early_stopped")
            past.decided.pop(trial, None)
        elif kind == "trial_resumed" and ("rung" in event or "audit" in event):
            if trial in past.halving.paused:
                past.halving.promote(trial)
            if "audit" in event:
                past.halving.ended(trial, bests.pop(trial), early_stopped=False)
    return past


def _empty(started: Mapping[str, Any]) -> Halving:
    epochs = number(mapping(started.get("baseline")).get("epochs")) or 0
    direction = mapping(started.get("objective")).get("direction")
    return make_halving(
        stored_scheduler(started.get("scheduler")),
        epochs,
        "minimize" if direction == "minimize" else "maximize",
        exempt=(BASELINE,),
    )
