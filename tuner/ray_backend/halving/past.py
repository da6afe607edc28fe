"""Halving as a log left it: who waits at a rung, and who would go on now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from search_spaces.schedulers import NoScheduler, stored_scheduler
from tuner.ray_backend.halving.choosing import make_halving, stratum_of
from tuner.ray_backend.halving.protocol import Halving, NoHalving
from tuner.records import BASELINE
from tuner.tolerant import mapping, number, text


def halving_after(events: Iterable[Mapping[str, Any]]) -> Halving:
    """A search's halving, told again what its log says; of a finished search, `paused` are those that may go on.

    An audited trial is left out from there on: it went on by chance.
    """
    halving: Halving = NoHalving()
    within: Sequence[str] = ()
    bests: dict[str, float | None] = {}
    for event in events:
        kind, trial = event.get("kind"), text(event.get("trial"))
        if kind == "search_started":
            scheduler = stored_scheduler(event.get("scheduler"))
            within = () if isinstance(scheduler, NoScheduler) else scheduler.within
            halving = _empty(event)
        elif kind == "trial_started" and not event.get("rerun"):
            bests[trial] = None
            halving.started(trial, stratum_of(mapping(event.get("config")), within))
        elif trial not in bests:
            continue
        elif kind == "epoch":
            bests[trial] = number(event.get("best_value"))
            halving.report(trial, number(event.get("epoch")) or 0, bests[trial])
        elif kind == "trial_ended":
            halving.ended(trial, bests[trial], event.get("status") == "early_stopped")
        elif kind == "trial_resumed" and ("rung" in event or "audit" in event):
            if trial in halving.paused:
                halving.promote(trial)
            if "audit" in event:
                halving.ended(trial, bests.pop(trial), early_stopped=False)
    return halving


def _empty(started: Mapping[str, Any]) -> Halving:
    epochs = number(mapping(started.get("baseline")).get("epochs")) or 0
    direction = mapping(started.get("objective")).get("direction")
    return make_halving(
        stored_scheduler(started.get("scheduler")),
        epochs,
        "minimize" if direction == "minimize" else "maximize",
        exempt=(BASELINE,),
    )
